"""What becomes of a request's fields on their way through the proxy."""

from dataclasses import dataclass

import pytest

from proxy_policies.fields import Fields, RawFields
from proxy_policies.hops.forwarding import ClientInfo, Style
from proxy_policies.hops.next_hop import Hop, PassedOn, request_passed_on

HOP = Hop(
    method="GET",
    http_version="HTTP/1.1",
    to_proxy=False,
    via_name="us",
    is_resent=False,
    sender=None,
    style=Style.NONE,
    is_trusted=False,
    claims=None,
)
REVERSE = HOP._replace(sender=ClientInfo("192.0.2.7", "example", "https"), style=Style.X_FORWARDED, claims=())
VIA = ("Via", "1.1 us")
FORWARDED = (("X-Forwarded-For", "192.0.2.7"), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "example"))


def _raw(*lines: tuple[str, str]) -> RawFields:
    return Fields.of(*lines).raw


@dataclass(frozen=True)
class Case:
    id: str
    hop: Hop
    fields: tuple[tuple[str, str], ...]
    passed: tuple[tuple[str, str], ...]
    removed: tuple[str, ...] = ()
    is_loop: bool = False


CASES = [
    Case("signed", HOP, (("Accept", "*/*"),), (("Accept", "*/*"), VIA)),
    Case("no name", HOP._replace(via_name=""), (("Accept", "*/*"),), (("Accept", "*/*"),)),
    Case("older", HOP._replace(http_version="HTTP/1.0"), (), (("Via", "1.0 us"),)),
    Case("after others", HOP, (("Via", "1.0 a"),), (("Via", "1.0 a, 1.1 us"),)),
    Case("named by Connection", HOP, (("Connection", "X-A, close"), ("X-A", "1")), (VIA,), removed=("x-a",)),
    Case("our credentials", HOP, (("Proxy-Authorization", "Basic x"),), (VIA,)),
    Case(
        "the next proxy's credentials",
        HOP._replace(to_proxy=True),
        (("Proxy-Authorization", "Basic x"),),
        (("Proxy-Authorization", "Basic x"), VIA),
    ),
    Case("whom it is from", REVERSE, (), (*FORWARDED, VIA)),
    Case("a claim", REVERSE, (("X-Real-IP", "10.0.0.1"), ("X-Forwarded-For", "10.0.0.1")), (*FORWARDED, VIA)),
    Case(
        "a trusted claim",
        REVERSE._replace(claims=None, is_trusted=True),
        (("X-Real-IP", "10.0.0.1"), ("X-Forwarded-Host", "inner")),
        (
            *(("X-Real-IP", "10.0.0.1"), ("X-Forwarded-Host", "inner")),
            *(("X-Forwarded-For", "192.0.2.7"), ("X-Forwarded-Proto", "https"), VIA),
        ),
    ),
    Case("a claim of the user's list", REVERSE._replace(claims=("x-user",)), (("X_User", "root"),), (*FORWARDED, VIA)),
    Case("resent", REVERSE._replace(is_resent=True), (*FORWARDED, VIA), (*FORWARDED, VIA)),
    Case("resent the first time", REVERSE._replace(is_resent=True), (("X-Real-IP", "a"),), (("X-Real-IP", "a"), VIA)),
    Case("loop", HOP, (("Via", "1.1 other, 1.1 us"),), (("Via", "1.1 other, 1.1 us"),), is_loop=True),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_passed_on(case: Case) -> None:
    expected = PassedOn(Fields.of(*case.passed), case.removed, case.is_loop)
    assert request_passed_on(_raw(*case.fields), case.hop) == expected
    assert request_passed_on(_raw(*case.fields), case.hop) == expected, "the same again"


def test_what_differs_in_anything_is_passed_on_by_itself() -> None:
    fields = _raw(("Accept", "*/*"))
    answers = {request_passed_on(fields, hop).fields for hop in (HOP, REVERSE, HOP._replace(via_name="them"))}
    assert len(answers) == 3


def test_lines_of_an_addon_that_are_lists() -> None:
    lines: RawFields = ([b"Accept", b"*/*"],)  # type: ignore[assignment]
    assert request_passed_on(lines, HOP).fields.get("via") == "1.1 us"
