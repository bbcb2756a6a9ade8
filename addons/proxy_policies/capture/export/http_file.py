"""Requests as a `.http` file, for JetBrains' HTTP Client and VS Code's REST Client."""

from collections.abc import Iterable, Iterator

from proxy_policies.capture.export.curl import sent_fields
from proxy_policies.capture.har.body import decode_text
from proxy_policies.capture.model import Entry, Request, header
from proxy_policies.log_lines import quantity


def http_file(entries: Iterable[Entry]) -> Iterator[str]:
    """Yield the file, a request at a time, each with its recorded status as a comment."""
    for number, entry in enumerate(entries, 1):
        request, status = entry.request, entry.response.status
        title = f"{number}: {request.method} {_one_line(request.url)} ({status or 'no response'})"
        yield f"### {title}\n{_request(request)}\n"


def _request(request: Request) -> str:
    lines = [f"{request.method} {_one_line(request.url)}"]
    lines += [f"{name}: {_one_line(value)}" for name, value in sent_fields(request)]
    text = decode_text(request.body.content, header(request.headers, "content-type") or "")
    if request.body.content and text is None:
        return "\n".join([f"# its body, {quantity(len(request.body.content), 'byte')}, is not text", *lines, ""])
    return "\n".join([*lines, "", _body(text or ""), ""] if text else [*lines, ""])


def _body(text: str) -> str:
    """Return a body without lines that start with ###, which would start the next request."""
    return "\n".join(f" {line}" if line.startswith("###") else line for line in text.splitlines())


def _one_line(text: str) -> str:
    return " ".join(text.split())
