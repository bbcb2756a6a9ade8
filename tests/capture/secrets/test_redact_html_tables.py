"""Secrets in tables of HTML with a row of names."""

import pytest

from proxy_policies.capture.secrets.decider import Decider
from proxy_policies.capture.secrets.redact_html_tables import in_html_tables
from proxy_policies.capture.secrets.rules import parse_rules

DECIDER = Decider(parse_rules(()), lambda secret, rule: f"<{secret}>", is_response=True)
HEAD = "<table><thead><tr><th>user</th><th>password:</th></tr></thead>"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            f"{HEAD}<tr><td>joe</td><td><code>a&amp;b9</code></td></tr>",
            f"{HEAD}<tr><td>joe</td><td><code><a&b9></code></td></tr>",
        ),
        (f"{HEAD}<tr><td>joe</td><td>supported</td></tr></table>", None),
        (f"{HEAD}</table><table><tr><td>joe</td><td>hunter2</td></tr></table>", None),
        ("<table><tr><th>token_type</th><th>n</th></tr><tr><td>kJ87Qx9Zt4mPw2v</td><td>1</td></tr></table>", None),
    ],
)
def test_cells_below_secret_names_are_replaced(text: str, expected: str | None) -> None:
    assert in_html_tables(text, DECIDER) == (text if expected is None else expected)
