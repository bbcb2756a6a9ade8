"""What only the layers know: how much of a response its client was sent."""

from tests.support.access_lines import Logged
from tests.support.curl import curl
from tests.support.h2_client import H2Client


def test_a_response_that_breaks_off_has_the_bytes_that_were_sent(logged: Logged) -> None:
    result = curl("-x", logged.proxy.url, f"{logged.origin.url}/broken")
    line = logged.lines.one()
    assert result.code != 0
    assert (line["status"], line["bytes"]) == (200, len(result.body))
    assert line["error"]


def test_a_request_refused_over_http2_has_a_line(logged: Logged) -> None:
    client = H2Client(logged.proxy.port)
    path = [(b":scheme", b"http"), (b":authority", b"localhost"), (b":path", b"/")]
    assert client.ask([(b":method", b"G:T"), *path]).status == 400
    client.close()
    line = logged.lines.one()
    assert (line["request"], line["status"]) == (None, 400)
    assert line["error"].startswith("The method is not a token")
