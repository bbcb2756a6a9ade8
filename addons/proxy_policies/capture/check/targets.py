"""Where recorded requests are sent now: one origin put in place of another, and back again in what comes."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit, urlunsplit

from proxy_policies.capture.errors import CaptureError
from proxy_policies.capture.har.body import as_text, charset
from proxy_policies.capture.model import Body, Headers, Request, Response, header

ORIGIN_HEADERS = ("origin", "referer")  # request fields that name the site itself


@dataclass(frozen=True, slots=True)
class Target:
    """A recorded origin and the one that stands for it now: `http://shop.test`, without a slash at the end."""

    recorded: str
    live: str

    def to_live(self, request: Request, keep_host: bool = False) -> Request:
        """Return the request as it is sent to the live origin."""
        parts, live = urlsplit(request.url), urlsplit(self.live)
        path = live.path.rstrip("/") + parts.path
        url = urlunsplit((live.scheme, live.netloc, path, parts.query, ""))
        headers = tuple((name, self._field(name.lower(), value, keep_host)) for name, value in request.headers)
        if header(headers, "host") is None:
            headers = (("Host", urlsplit(self.recorded).netloc if keep_host else live.netloc), *headers)
        return replace(request, url=url, headers=headers)

    def _field(self, name: str, value: str, keep_host: bool) -> str:
        if name == "host" and not keep_host:
            return urlsplit(self.live).netloc
        if name in ORIGIN_HEADERS and not keep_host and (value + "/").startswith(self.recorded + "/"):
            return self.live + value.removeprefix(self.recorded)
        return value

    def to_recorded(self, response: Response) -> Response:
        """Return the response with the live origin's name replaced by the recorded one's, wherever it stands."""
        return replace(response, headers=self._back(response.headers), body=self._body(response))

    def _back(self, headers: Headers) -> Headers:
        return tuple((name, self._text(value)) for name, value in headers)

    def _text(self, text: str) -> str:
        text = text.replace(self.live, self.recorded)
        authority, recorded = urlsplit(self.live).netloc, urlsplit(self.recorded).netloc
        return re.sub(rf"(?<![\w.-]){re.escape(authority)}(?![\w.:-])", recorded, text)

    def _body(self, response: Response) -> Body:
        mime = header(response.headers, "content-type") or ""
        text = as_text(response.body.content, mime)
        if text is None or urlsplit(self.live).netloc not in text:
            return response.body
        return replace(response.body, content=self._text(text).encode(charset(mime), "replace"), wire=None)


def parse_targets(specs: Sequence[str], origins: Iterable[str]) -> dict[str, Target]:
    """Read `URL` or `RECORDED=URL`; a bare URL stands for the one origin of the capture. Raises CaptureError."""
    known = list(dict.fromkeys(origins))
    targets = {}
    for spec in specs:
        recorded, equals, live = spec.rpartition("=")
        if not equals or "://" not in recorded:
            recorded, live = _only(known, spec), spec
        if urlsplit(live).scheme not in ("http", "https") or not urlsplit(live).netloc:
            raise CaptureError(f"--target {live}: write a URL such as http://127.0.0.1:9000")
        recorded = recorded.rstrip("/")
        if recorded not in known:
            raise CaptureError(
                f"--target {spec}: the capture has no {recorded}; it has {', '.join(known) or 'nothing'}"
            )
        targets[recorded] = Target(recorded, live.rstrip("/"))
    return targets


def _only(known: list[str], spec: str) -> str:
    if len(known) != 1:
        names = ", ".join(known) or "nothing"
        raise CaptureError(f"--target {spec}: the capture has {names}; write --target RECORDED={spec}, once for each")
    return known[0]
