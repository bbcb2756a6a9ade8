"""Real values for placeholders: where they come from, and where they go."""

import html
import json
import re
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.capture.check.secret_values import SecretValues, parse_secrets, unresolved
from proxy_policies.capture.errors import CaptureError
from proxy_policies.capture.model import Body, Request
from proxy_policies.capture.secrets.placeholders import Placeholders, as_number
from proxy_policies.capture.secrets.redact import Redactor, parse_rules

JSON = ("Content-Type", "application/json")
FORM = ("Content-Type", "application/x-www-form-urlencoded")


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


def test_a_number_is_sent_as_one() -> None:
    pin = as_number(KEY.of("4711"))
    request = get("/", JSON, method="POST", body=json.dumps({"pin": pin, "inner": json.dumps({"pin": pin})}).encode())
    by_value = json.loads(SecretValues({"any": "4711"}, KEY).substitute(request).body.content)
    assert (by_value["pin"], json.loads(by_value["inner"])) == (4711, {"pin": 4711})
    by_name = json.loads(SecretValues({"json:$.pin": "12"}, KEY).substitute(request).body.content)
    assert by_name["pin"] == 12
    assert json.loads(SecretValues({pin: "none"}, KEY).substitute(request).body.content)["pin"] == "none"


secrets = st.builds(
    "{}-7Qx9{}".format, st.text("abcXYZ019-_ü/+=\"'&<", min_size=6, max_size=30), st.text("aZ9", min_size=1)
)


@given(secrets)
def test_with_its_values_a_redacted_request_is_what_was_sent(secret: str) -> None:
    as_json = json.dumps({"password": secret}, ensure_ascii=False)
    plain = re.sub(r"[^\w/+-]", "u", secret, flags=re.ASCII)
    requests = [
        get(f"/a/{quote(secret, safe='')}?token={quote(secret, safe='')}&x=1"),
        get("/", ("Authorization", f"Bearer {plain}"), ("X-Api-Key", plain), ("Cookie", f"sid={plain}; a=b")),
        get("/", JSON, body=f"[1.50, {as_json}]".encode()),
        get("/", FORM, body=f"a=b&password={quote(secret, safe='')}&c".encode()),
        get("/", ("Content-Type", "text/event-stream"), body=b"data: %s\n\n" % as_json.encode()),
        get("/", ("Content-Type", "application/x-ndjson"), body=f"{as_json}\n{as_json}\n".encode()),
        get("/", ("Content-Type", "text/xml"), body=f"<a><password>{html.escape(secret)}</password></a>".encode()),
        get("/", ("Content-Type", "text/plain"), body=f"user joe, password={plain} ok".encode()),
    ]
    values = SecretValues({"a": secret, "b": plain}, KEY)
    for request in requests:
        redacted = Redactor(parse_rules(()), KEY).request_swept(request)
        assert "secret_" in str(redacted)
        assert values.substitute(redacted) == request


def test_secrets_come_from_the_environment_or_a_file(tmp_path: Path) -> None:
    file = tmp_path / "secrets"
    file.write_text("# mine\na = 1\n\nb=2=3\n")
    assert parse_secrets(["c=env:C"], [str(file)], {"C": "4"}) == {"a": "1", "b": "2=3", "c": "4"}
    file.write_text("nonsense")
    with pytest.raises(CaptureError, match="line 1: write NAME=value"):
        parse_secrets([], [str(file)], {})


@pytest.mark.parametrize(("spec", "why"), [("a=env:B", "B is not set"), ("a", "write NAME="), ("a=x", "write NAME=")])
def test_a_wrong_secret_is_refused(spec: str, why: str) -> None:
    with pytest.raises(CaptureError, match=f"^--secret a: {why}"):
        parse_secrets([spec], [], {})


def test_a_secret_may_be_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("k=1\n")
    assert parse_secrets([f"a=file:{tmp_path / 'key'}"], [], {}) == {"a": "k=1"}
