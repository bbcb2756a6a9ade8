"""Secrets in tables within texts, and tables for people, which stay."""

import pytest

from proxy_policies.capture.secrets.decider import Decider
from proxy_policies.capture.secrets.redact_text_tables import in_text_tables
from proxy_policies.capture.secrets.rules import parse_rules

DECIDER = Decider(parse_rules(()), lambda secret, rule: "~", is_response=True)
TOKEN = "kJ8-7Qx9Zt4mPw2v"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "| user | password |\n|---|---|\n| joe | hunter2 |\n| ann | Zq8 |\n",
            "| user | password |\n|---|---|\n| joe | ~ |\n| ann | ~ |\n",
        ),
        (f"x\n\n user | token \n---+---\n joe  | {TOKEN}\n(1 row)", "x\n\n user | token \n---+---\n joe  | ~\n(1 row)"),
        (
            f"NAME  API TOKEN  AGE\njoe   {TOKEN}  3\n\nann   {TOKEN}",
            f"NAME  API TOKEN  AGE\njoe   ~  3\n\nann   {TOKEN}",
        ),
        ('# of 2026\nuser,password\n"a,b",hunter2\n', '# of 2026\nuser,password\n"a,b",~\n'),
        (f"│ user │ token │\n├───┼───┤\n│ joe │ `{TOKEN}` │", "│ user │ token │\n├───┼───┤\n│ joe │ `~` │"),
        ("| way | password |\n|---|---|\n| MFA | supported |\n| 2FA | not supported |\n", None),
        ("| provider | token |\n|---|---|\n| A | OAuth2 |\n", None),
        ("Give us your user, password\nand the other, 2FA4a8b9c\n", None),
        ("| field | password |\n|---|---|\n| type | the name of a file, such as a1.txt |\n", None),
        (f"password  {TOKEN}\ntoken     {TOKEN}\n", None),  # no line of names
        ("| token_type | password_policy |\n|---|---|\n| bearer | strict1 |", None),
    ],
)
def test_cells_below_secret_names_are_replaced(text: str, expected: str | None) -> None:
    assert in_text_tables(text, DECIDER) == (text if expected is None else expected)
