"""Real values for placeholders: where they come from, and where they go."""

from pathlib import Path

import pytest

from proxy_policies.capture.errors import CaptureError
from proxy_policies.capture.model import Body, Request
from proxy_policies.capture.secrets.placeholders import Placeholders
from proxy_policies.capture.secrets.secret_values import SecretValues, parse_secrets, unresolved

JSON = ("Content-Type", "application/json")
FORM = ("Content-Type", "application/x-www-form-urlencoded")
HTML = ("Content-Type", "text/html")


def get(url: str, *fields: tuple[str, str], method: str = "GET", body: bytes = b"") -> Request:
    return Request(method, f"http://shop.test{url}", fields, Body(body))


KEY = Placeholders(b"k" * 32)
HOLDER = KEY.of("real-value")


def test_placeholders_are_filled_by_name_and_by_value() -> None:
    body = f'{{"p": "{HOLDER}"}}'.encode()
    request = get(f"/?token={HOLDER}", ("Authorization", f"Bearer {HOLDER}"), JSON, method="POST", body=body)
    by_value = SecretValues({"anything": "real-value"}, KEY).substitute(request)
    assert "secret_" not in str(by_value)
    by_name = SecretValues({"header:authorization": "other"}, KEY).substitute(request)
    assert by_name.headers[0] == ("Authorization", "Bearer other")
    assert [text.partition(" ")[2] for text in unresolved(by_name)] == ["(json:$.p)"]
    assert unresolved(by_value) == []


def test_secrets_come_from_the_environment_or_a_file(tmp_path: Path) -> None:
    file = tmp_path / "secrets"
    file.write_text("# mine\na = 1\n\nb=2=3\n")
    assert parse_secrets(["c=env:C"], [str(file)], {"C": "4"}) == {"a": "1", "b": "2=3", "c": "4"}
    file.write_text("nonsense")
    with pytest.raises(CaptureError, match="line 1: write NAME=value"):
        parse_secrets([], [str(file)], {})
