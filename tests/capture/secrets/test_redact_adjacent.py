"""Random values beside the name of a secret; texts about secrets stay."""

import pytest

from proxy_policies.capture.secrets.decider import Decider
from proxy_policies.capture.secrets.redact_adjacent import in_adjacent
from proxy_policies.capture.secrets.rules import parse_rules

DECIDER = Decider(parse_rules(()), lambda secret, rule: "~", is_response=True)
TOKEN = "kJ8-7Qx9Zt4mPw2v"


@pytest.mark.parametrize(
    "text",
    [
        "the password for bob is §.",
        "token § and more",
        "ENV API_TOKEN §",
        '(password "§")',
        "password\x1f§",
        "API key: §",
    ],
)
def test_a_random_value_is_replaced(text: str) -> None:
    assert in_adjacent(text.replace("§", TOKEN), DECIDER, is_code=False) == text.replace("§", "~")


@pytest.mark.parametrize(
    "text",
    [
        "the token is sent to the server",
        "arn:aws:secretsmanager:us-west-2:123456789012:secret:MyTestSecret-a1b2c3",
        f"token, {TOKEN}",
        f"token_type {TOKEN}",
        f"a token of the page /x/{TOKEN}",
        f"token.{TOKEN}.js",
        f"the session\n{TOKEN}",
        f"password id={TOKEN}",
    ],
)
def test_anything_else_stays(text: str) -> None:
    assert in_adjacent(text, DECIDER, is_code=False) == text


def test_in_code_a_value_ends_with_its_string() -> None:
    text = f'{{"type":"session","id":"{TOKEN}","a":"token {TOKEN}"}}'
    assert in_adjacent(text, DECIDER, is_code=True) == f'{{"type":"session","id":"{TOKEN}","a":"token ~"}}'
