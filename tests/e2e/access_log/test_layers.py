"""What only the layers know: how much of a response its client was sent."""

from tests.support.access_lines import Logged
from tests.support.curl import curl


def test_a_response_that_breaks_off_has_the_bytes_that_were_sent(logged: Logged) -> None:
    result = curl("-x", logged.proxy.url, f"{logged.origin.url}/broken")
    line = logged.lines.one()
    assert result.code != 0
    assert (line["status"], line["bytes"]) == (200, len(result.body))
    assert line["error"]
