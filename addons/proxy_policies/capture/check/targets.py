"""Targets: the origins to which recorded requests are sent; their names in responses are changed back."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit, urlunsplit

from proxy_policies.capture.errors import CaptureError
from proxy_policies.capture.har.body import charset, decode_text
from proxy_policies.capture.model import Body, Headers, Request, Response, header

ORIGIN_HEADERS = ("origin", "referer")  # request fields with the origin of the site


@dataclass(frozen=True, slots=True)
class CheckTarget:
    """A recorded origin and the live one that replaces it, as `http://shop.test`, without a final slash."""

    recorded: str
    live: str

    def to_live(self, request: Request, keep_host: bool = False) -> Request:
        """Return the request for the live origin; with `keep_host`, its fields have the recorded origin."""
        parts, live = urlsplit(request.url), urlsplit(self.live)
        path = live.path.rstrip("/") + parts.path
        url = urlunsplit((live.scheme, live.netloc, path, parts.query, ""))
        headers = tuple((name, self._live_field(name.lower(), value, keep_host)) for name, value in request.headers)
        if header(headers, "host") is None:
            headers = (("Host", urlsplit(self.recorded).netloc if keep_host else live.netloc), *headers)
        return replace(request, url=url, headers=headers)

    def _live_field(self, name: str, value: str, keep_host: bool) -> str:
        if name == "host" and not keep_host:
            return urlsplit(self.live).netloc
        if name in ORIGIN_HEADERS and not keep_host and (value + "/").startswith(self.recorded + "/"):
            return self.live + value.removeprefix(self.recorded)
        return value

    def to_recorded(self, response: Response) -> Response:
        """Return the response with every name of the live origin replaced by the recorded one's."""
        return replace(response, headers=self._restored_fields(response.headers), body=self._restored_body(response))

    def _restored_fields(self, headers: Headers) -> Headers:
        return tuple((name, self._restored_text(value)) for name, value in headers)

    def _restored_text(self, text: str) -> str:
        text = text.replace(self.live, self.recorded)
        authority, recorded = urlsplit(self.live).netloc, urlsplit(self.recorded).netloc
        return re.sub(rf"(?<![\w.-]){re.escape(authority)}(?![\w.:-])", recorded, text)

    def _restored_body(self, response: Response) -> Body:
        mime = header(response.headers, "content-type") or ""
        text = decode_text(response.body.content, mime)
        if text is None or urlsplit(self.live).netloc not in text:
            return response.body
        return replace(response.body, content=self._restored_text(text).encode(charset(mime), "replace"), wire=None)


def parse_targets(specs: Sequence[str], origins: Iterable[str]) -> dict[str, CheckTarget]:
    """Return the targets of `RECORDED=URL`, or of `URL` for a capture of one origin. Raise CaptureError."""
    known = list(dict.fromkeys(origins))
    targets = {}
    for spec in specs:
        recorded, equals, live = spec.rpartition("=")
        if not equals or "://" not in recorded:
            recorded, live = _only_origin(known, spec), spec
        if urlsplit(live).scheme not in ("http", "https") or not urlsplit(live).netloc:
            raise CaptureError(f"--target {live}: write a URL such as http://127.0.0.1:9000")
        recorded = recorded.rstrip("/")
        if recorded not in known:
            raise CaptureError(
                f"--target {spec}: the capture has no {recorded}; it has {', '.join(known) or 'nothing'}"
            )
        targets[recorded] = CheckTarget(recorded, live.rstrip("/"))
    return targets


def _only_origin(known: list[str], spec: str) -> str:
    if len(known) != 1:
        names = ", ".join(known) or "nothing"
        raise CaptureError(f"--target {spec}: the capture has {names}; write --target RECORDED={spec}, once for each")
    return known[0]
