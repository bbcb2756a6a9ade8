"""What a request head must be before anything is made of it (RFC 9112, sections 2.2, 3 and 5)."""

from mitmproxy import http
from mitmproxy.net.http import http1

HEAD_LIMIT = 64 * 1024
"""The most bytes a head may have: 64 KiB is what Squid takes; nginx and Apache take less."""


class BadRequest(ValueError):
    """A head that is refused; `status` is what to answer."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def read_request(lines: list[bytes], strict: bool) -> tuple[http.Request, int | None]:
    """Read a request head, given as lines without their ends, and the size of its body as h11's readers take it.

    `strict` refuses what two readers could read in two ways, a way to smuggle requests. Raises BadRequest.
    """
    if sum(map(len, lines)) > HEAD_LIMIT:
        raise BadRequest(431, f"The request head has over {HEAD_LIMIT} bytes.")
    if strict and any(line[:1] in b" \t" or b"\r" in line or b"\0" in line for line in lines):
        raise BadRequest(400, "The request head has a folded line, a bare CR or a NUL.")
    try:
        request = http1.read_request_head(lines)
        size = http1.expected_http_body_size(request)
    except (ValueError, IndexError) as error:
        raise BadRequest(400, str(error)) from error
    if request.data.http_version[:7] != b"HTTP/1.":
        raise BadRequest(505, f"{request.http_version} is not spoken here, HTTP/1.1 is.")
    if request.method == "CONNECT" and not request.host:
        raise BadRequest(400, "CONNECT names no host and port.")
    if strict:
        _check_host(request)
    return request, size


def _check_host(request: http.Request) -> None:
    """Refuse no Host and more than one (RFC 9112, section 3.2), save where the target names the host itself."""
    hosts = request.headers.get_all("host")
    if len(hosts) > 1:
        raise BadRequest(400, "The request has more than one Host.")
    if not hosts and not request.data.authority and request.http_version != "HTTP/1.0":
        raise BadRequest(400, "The request has no Host.")


def host_of_target(request: http.Request) -> str | None:
    """Give what Host must say by an absolute-form target, which overrules it (RFC 9112, section 3.2.2)."""
    return request.authority if request.first_line_format == "absolute" else None
