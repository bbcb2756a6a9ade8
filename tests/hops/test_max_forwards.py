"""How far a TRACE or OPTIONS may go."""

import pytest

from proxy_policies.fields import Fields
from proxy_policies.hops.max_forwards import FinalHop, count_down


@pytest.mark.parametrize("method", ["TRACE", "OPTIONS"])
@pytest.mark.parametrize(("said", "sent"), [("1", "0"), ("10", "9"), ("007", "6"), ("x", "x"), ("-1", "-1"), ("", "")])
def test_a_hop_is_counted(method: str, said: str, sent: str) -> None:
    assert count_down(method, "/", "HTTP/1.1", Fields.of(("Max-Forwards", said))) == Fields.of(("Max-Forwards", sent))


def test_the_last_hop_answers() -> None:
    fields = Fields.of(("Host", "a"), ("Max-Forwards", "0"), ("Cookie", "secret"), ("authorization", "secret"))
    reflected = b"TRACE /x HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n"
    assert count_down("TRACE", "/x", "HTTP/1.1", fields) == FinalHop("message/http", reflected)
    assert count_down("OPTIONS", "/x", "HTTP/1.1", fields) == FinalHop(None, b"")


@pytest.mark.parametrize("method", ["GET", "POST", "trace"])
def test_other_methods_are_not_limited(method: str) -> None:
    fields = Fields.of(("Max-Forwards", "0"))
    assert count_down(method, "/", "HTTP/1.1", fields) == fields


def test_without_a_limit() -> None:
    assert count_down("TRACE", "/", "HTTP/1.1", Fields()) == Fields()
