"""Requests as curl commands."""

import base64
import shlex
from collections.abc import Iterable, Iterator

from proxy_policies.capture.har.body import decode_text
from proxy_policies.capture.model import Entry, Request, header

SET_BY_CURL = ("content-length", "connection", "transfer-encoding")
"""Fields that curl sets itself."""


def curl_command(request: Request) -> str:
    """Return a command for a POSIX shell that sends a request; a binary body is passed as base64."""
    arguments = ["curl", "--http1.0"] if request.version == "HTTP/1.0" else ["curl"]
    if request.method == "HEAD":
        arguments.append("--head")
    elif request.method != ("POST" if request.body.content else "GET"):
        arguments += ["--request", request.method]
    arguments.append(request.url)
    for name, value in sent_fields(request):
        if name.lower() == "accept-encoding":  # of the client: curl has fewer codings, and would print the bytes
            arguments.append("--compressed")
            continue
        arguments += ["--header", f"{name}: {value}" if value else f"{name};"]
    text = decode_text(request.body.content, header(request.headers, "content-type") or "")
    if not request.body.content:
        return _quoted(arguments)
    if text is not None and "\0" not in text:
        return _quoted([*arguments, "--data-raw", text])
    packed = base64.b64encode(request.body.content).decode()
    return f"printf %s {packed} | base64 -d | {_quoted([*arguments, '--data-binary', '@-'])}"


def sent_fields(request: Request) -> Iterator[tuple[str, str]]:
    """Yield the fields that a client does not set itself; Host only if it differs from the URL's."""
    host = request.url.partition("://")[2].partition("/")[0]
    for name, value in request.headers:
        if name.lower() not in SET_BY_CURL and not name.startswith(":") and (name.lower(), value) != ("host", host):
            yield name, value


def _quoted(arguments: Iterable[str]) -> str:
    return " ".join(shlex.quote(argument) for argument in arguments)


def curl_script(entries: Iterable[Entry]) -> Iterator[str]:
    """Yield a shell script that sends all requests, a request at a time."""
    yield "#!/bin/sh\n# Requests of a capture, in their order. secret_… stands for what was not recorded.\nset -e\n"
    for number, entry in enumerate(entries, 1):
        yield f"\n# {number}: {entry.response.status or 'no response'}\n{curl_command(entry.request)}\n"
