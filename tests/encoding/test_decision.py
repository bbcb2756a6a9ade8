"""Whether a response is encoded."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.encoding.decision import EncodingDecision, EncodingOptions, ResponseInfo, decide
from proxy_policies.encoding.types import TEXT_LIKE, parse_types
from proxy_policies.fields import Fields

WISHES = EncodingOptions(("zstd", "br", "gzip"), 1024, parse_types(TEXT_LIKE))
HTML = (("Content-Type", "text/html; charset=utf-8"),)


def part(span: str) -> tuple[tuple[str, str], ...]:
    return (*HTML, ("Content-Range", f"bytes {span}"))


@dataclass
class Case:
    id: str
    coding: str
    varies: bool
    status: int = 200
    response: tuple[tuple[str, str], ...] = HTML
    request: tuple[tuple[str, str], ...] = (("Accept-Encoding", "gzip"),)
    length: int | None = 5000
    wishes: EncodingOptions = field(default=WISHES)

    def decide(self) -> EncodingDecision:
        return decide(
            ResponseInfo(Fields.of(*self.request), self.status, Fields.of(*self.response), self.length), self.wishes
        )


CASES = [
    Case("html", "gzip", True),
    Case("length not known", "gzip", True, length=None),
    Case("an error page", "gzip", True, status=404),
    Case("json", "gzip", True, response=(("Content-Type", "application/problem+json"),)),
    Case("another client would get it encoded", "identity", True, request=()),
    Case("too small", "identity", False, length=1023),
    Case("just large enough", "gzip", True, length=1024),
    Case("small, but plain is refused", "gzip", True, length=10, request=(("Accept-Encoding", "gzip, identity;q=0"),)),
    Case("encoded already", "identity", False, response=(*HTML, ("Content-Encoding", "br"))),
    Case("encoded in nothing", "gzip", True, response=(*HTML, ("Content-Encoding", "identity"))),
    Case("picture", "identity", False, response=(("Content-Type", "image/png"),)),
    Case("svg", "gzip", True, response=(("Content-Type", "Image/SVG+xml"),)),
    Case("no type", "identity", False, response=()),
    Case("the origin forbids", "identity", False, response=(*HTML, ("Cache-Control", "public, No-Transform"))),
    Case("forbidden after a semicolon", "identity", False, response=(*HTML, ("Cache-Control", "public; no-transform"))),
    Case("forbidden after a blank", "identity", False, response=(*HTML, ("Cache-Control", "max-age=5 No-Transform"))),
    Case("forbidden as a text", "gzip", True, response=(*HTML, ("Cache-Control", 'x="no-transform"'))),
    Case(
        "the client forbids",
        "identity",
        False,
        request=(("Cache-Control", "no-transform"), ("Accept-Encoding", "gzip")),
    ),
    Case("no content", "identity", False, status=204),
    Case("reset content", "identity", False, status=205),
    Case("a part of what another client would get encoded", "identity", True, status=206, response=part("0-9/5000")),
    Case("a part of a small whole", "identity", False, status=206, response=part("0-9/1023")),
    Case("a part of a whole of unknown length", "identity", True, status=206, response=part("0-9/*")),
    Case("parts", "identity", True, status=206, response=(("Content-Type", "multipart/byteranges; boundary=x"),)),
    Case("a part, type not said", "identity", True, status=206, response=(("Content-Range", "bytes 0-9/5000"),)),
    Case("a part of a picture", "identity", False, status=206, response=(("Content-Type", "image/png"),)),
    Case("a part by its field", "identity", False, response=(*HTML, ("Content-Range", "bytes 0-5/10"))),
    Case("upgrade", "identity", False, status=101),
    Case("not modified", "identity", True, status=304, length=None),
    Case("not modified, type not said", "identity", True, status=304, response=(), length=None),
    Case("not modified picture", "identity", False, status=304, response=(("Content-Type", "image/png"),), length=None),
    Case("turned off", "identity", False, wishes=WISHES._replace(codings=())),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_decide(case: Case) -> None:
    decision = case.decide()
    assert (decision.coding, decision.varies) == (case.coding, case.varies)
    assert decision.why


lines = st.lists(
    st.tuples(
        st.sampled_from(["Content-Type", "Content-Encoding", "Cache-Control", "Accept-Encoding", "Content-Range"]),
        st.text(),
    )
)


@given(lines, lines, st.integers(100, 599), st.none() | st.integers(0))
def test_what_is_encoded_varies(
    request: list[tuple[str, str]], response: list[tuple[str, str]], status: int, length: int | None
) -> None:
    decision = decide(ResponseInfo(Fields.of(*request), status, Fields.of(*response), length), WISHES)
    assert decision.varies or not decision.encodes


@given(
    st.sampled_from(["text/html", "application/json", "image/png"]),
    st.sampled_from(["", "gzip", "br, gzip;q=0", "identity;q=0, *", "identity;q=0"]),
    st.sampled_from([(), (("Content-Encoding", "br"),), (("Cache-Control", "no-transform"),)]),
    st.integers(1, 3000),
)
def test_a_part_varies_as_its_whole_does(
    media_type: str, accepted: str, more: tuple[tuple[str, str], ...], length: int
) -> None:
    request, head = Fields.of(("Accept-Encoding", accepted)), (("Content-Type", media_type), *more)
    whole = decide(ResponseInfo(request, 200, Fields.of(*head), length), WISHES)
    span = ("Content-Range", f"bytes 0-0/{length}")
    assert decide(ResponseInfo(request, 206, Fields.of(*head, span), 1), WISHES).varies == whole.varies
