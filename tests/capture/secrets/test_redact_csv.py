"""Secrets in tables."""

import pytest

from proxy_policies.capture.secrets.decider import Decider
from proxy_policies.capture.secrets.redact_csv import in_table
from proxy_policies.capture.secrets.rules import parse_rules

DECIDER = Decider(parse_rules(()), lambda secret, rule: f"<{secret}>", is_response=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("user,password\njoe,Zq7hunter2\n", "user,password\njoe,<Zq7hunter2>\n"),
        ('"User","Secret access key"\r\n"joe","a""b,c9"\r\n', '"User","Secret access key"\r\n"joe",<a"b,c9>\r\n'),
        ("token;n\nZq7hunter2;1\nZq7hunter3;2", "token;n\n<Zq7hunter2>;1\n<Zq7hunter3>;2"),
        ("n\tpassword\n1\tZq7\n\n2\tZq8", "n\tpassword\n1\t<Zq7>\n\n2\t<Zq8>"),
        ('n,password\n1,"Zq7 hunt', "n,password\n1,<Zq7 hunt>"),
        ("user,token_type\njoe,bearer\n", None),
        ("user,password\njoe\nann,,x\n", None),
        ("", None),
        ("password", None),
    ],
)
def test_cells_below_a_secret_name_are_replaced(text: str, expected: str | None) -> None:
    assert in_table(text, DECIDER) == (text if expected is None else expected)
