"""Secrets in SQL."""

import pytest

from proxy_policies.capture.secrets.decider import Decider
from proxy_policies.capture.secrets.redact_sql import in_sql
from proxy_policies.capture.secrets.rules import parse_rules

DECIDER = Decider(parse_rules(()), lambda secret, rule: f"<{secret}>", is_response=False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("INSERT INTO u (a, password) VALUES ('x', 'y z')", "INSERT INTO u (a, password) VALUES ('x', '<y z>')"),
        (
            "insert into u(`password`,n) values('y''s',1),\n('z', 2)",
            "insert into u(`password`,n) values('<y's>',1),\n('<z>', 2)",
        ),
        (
            "REPLACE INTO u (n, password) VALUES (1, crypt('y', gen_salt('bf')))",
            "REPLACE INTO u (n, password) VALUES (1, crypt('<y>', gen_salt('bf')))",
        ),
        ("INSERT INTO u (n, password) VALUES (f(1, 2), 'y", "INSERT INTO u (n, password) VALUES (f(1, 2), '<y>"),  # cut
        (
            "COPY u (n, password) FROM stdin;\n1\ty\n2\tz\n\\.\nb\tc",
            "COPY u (n, password) FROM stdin;\n1\t<y>\n2\t<z>\n\\.\nb\tc",
        ),
        ("INSERT INTO u (n, password_policy) VALUES (1, 'strict')", None),
        ("INSERT INTO u (n, password) VALUES (?, ?), (1, NULL)", None),
        ("INSERT INTO u VALUES (1, 'y')", None),
    ],
)
def test_values_of_secret_columns_are_replaced(text: str, expected: str | None) -> None:
    assert in_sql(text, DECIDER) == (text if expected is None else expected)
