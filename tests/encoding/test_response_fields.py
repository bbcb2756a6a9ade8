"""What encoding does to fields."""

import pytest

from proxy_policies.encoding.response_fields import with_encoding, with_vary
from proxy_policies.fields import Fields


@pytest.mark.parametrize(
    ("vary", "expected"),
    [
        ((), "Accept-Encoding"),
        (("Origin",), "Origin, Accept-Encoding"),
        (("Origin", "Cookie"), "Origin, Cookie, Accept-Encoding"),
        (("accept-encoding",), "accept-encoding"),
        (("*",), "*"),
    ],
)
def test_varying(vary: tuple[str, ...], expected: str) -> None:
    assert with_vary(Fields.of(*(("Vary", value) for value in vary))).get("vary") == expected


def test_encoded() -> None:
    plain = Fields.of(("Content-Encoding", "identity"), ("accept-ranges", "bytes"), ("Content-MD5", "x"), ("X", "y"))
    assert list(with_encoding(plain, "br")) == [("Content-Encoding", "br"), ("X", "y")]
