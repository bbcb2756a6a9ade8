"""Serves the dashboard: its page, and the API that the page uses."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from tornado import escape, web

from proxy_policies.dashboard.access import Access
from proxy_policies.web_pages.page_server import PageServer, is_own_name

PAGE = Path(__file__).parent / "page"
FILES = {"dashboard.css": "text/css", "dashboard.js": "text/javascript"}
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
CSRF_FIELD = "X-CSRF-Token"
"""The field in which our page returns its CSRF token."""
MAX_BODY = 64 * 1024
"""Bytes of a request's body."""

ApiCall = Callable[..., Awaitable[object]]
"""Returns a JSON value; raises ValueError with the error's text."""

logger = logging.getLogger(__name__)


class DashboardHandler(web.RequestHandler):
    """The base of all handlers: access control, and security fields."""

    is_public = False
    """True if no login is needed."""
    is_logged_in = False
    """True if the request has a valid cookie or password."""

    def initialize(self, access: Access, is_local: bool, api: Mapping[str, ApiCall], cookie: str) -> None:
        """Initialize; `cookie` is the cookie's name."""
        self._access, self._is_local, self._api, self._cookie = access, is_local, api, cookie

    def set_default_headers(self) -> None:
        """Set the fields that each response has: no caching, framing, or content of other sites."""
        self.clear_header("Server")
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("Cross-Origin-Resource-Policy", "same-origin")
        self.set_header("Content-Security-Policy", CSP)

    async def prepare(self) -> None:
        """Refuse requests for another site's name (DNS rebinding), and those without login."""
        if self._is_local and not is_own_name(self.request.host_name):
            raise web.HTTPError(403, reason="Wrong Host")
        self.is_logged_in = await self._has_login()
        if not self.is_public and not self.is_logged_in:
            raise web.HTTPError(401)

    async def _has_login(self) -> bool:
        """Return whether the request has a valid cookie, or the password in Authorization."""
        if self._access.is_logged_in(self.get_cookie(self._cookie, "") or ""):
            return True
        scheme, _, password = self.request.headers.get("Authorization", "").partition(" ")
        return scheme.lower() == "bearer" and await self.try_password(password) is not None

    async def try_password(self, password: str) -> str | None:
        """Return the cookie for a password; None for a wrong one, after a delay that grows with each wrong guess.

        The right password is never delayed: the guesses may be of others with the same address.
        """
        cookie = self._access.log_in(password)
        if cookie is None:
            address, clock = self.request.remote_ip or "", asyncio.get_running_loop().time
            self._access.guesses.wrong(address, clock())
            await asyncio.sleep(self._access.guesses.delay(address, clock()))
        return cookie

    def write_error(self, status_code: int, **_: Any) -> None:
        """Respond with the error in a line of text."""
        self.set_header("Content-Type", "text/plain")
        self.finish(f"{status_code} {self._reason}\n")


class IndexPage(DashboardHandler):
    """The page; without login, the form for the password."""

    is_public = True

    async def get(self) -> None:
        """Send the page; with `?token=`, set the cookie and redirect to the URL without it."""
        if token := self.get_query_argument("token", ""):
            await self._log_in(token)
        elif self.is_logged_in:
            self._send("index.html", csrf_token=self._access.csrf_token)
        else:
            self.set_status(401)
            self._send("login.html", wrong="")

    async def post(self) -> None:
        """Log in with the form's password."""
        await self._log_in(self.get_body_argument("password", ""))

    async def _log_in(self, password: str) -> None:
        cookie = await self.try_password(password)
        if cookie is None:
            self.set_status(401)
            self._send("login.html", wrong="That is not the password.")
            return
        self.set_cookie(self._cookie, cookie, httponly=True, samesite="Strict", path="/")
        self.redirect("/", status=303)

    def _send(self, name: str, **texts: str) -> None:
        page = (PAGE / name).read_text()
        for key, text in texts.items():
            page = page.replace(f"{{{{ {key} }}}}", escape.xhtml_escape(text))
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.finish(page)


class StaticFile(DashboardHandler):
    """The page's static files, which contain no data of this proxy."""

    is_public = True

    def get(self, name: str) -> None:
        """Send a file."""
        self.set_header("Content-Type", f"{FILES[name]}; charset=utf-8")
        self.finish((PAGE / name).read_bytes())


class Api(DashboardHandler):
    """The page's API: `GET /ask/NAME?…` reads, `POST` changes."""

    async def get(self, name: str) -> None:
        """Respond to a call that changes nothing."""
        await self._call(f"get {name}", {key: self.get_query_argument(key) for key in self.request.query_arguments})

    async def post(self, name: str) -> None:
        """Respond to a call that changes something, if it is from our own page."""
        fields = self.request.headers
        if not self._access.may_change(fields.get(CSRF_FIELD, ""), fields.get("Origin", ""), self.request.host):
            raise web.HTTPError(403)
        try:
            arguments = json.loads(self.request.body)
        except (ValueError, RecursionError):
            arguments = None
        if not isinstance(arguments, dict) or not all(isinstance(value, str) for value in arguments.values()):
            raise web.HTTPError(400)
        await self._call(f"post {name}", arguments)

    async def _call(self, name: str, arguments: Mapping[str, str]) -> None:
        call = self._api.get(name)
        if call is None:
            raise web.HTTPError(404)
        self.set_header("Content-Type", "application/json")
        try:
            body = json.dumps({"result": await call(**arguments)})
        except Exception as error:  # no call may raise in the proxy, as on the control socket
            logger.debug("dashboard: the call failed", exc_info=True)
            self.set_status(400 if isinstance(error, (ValueError, TypeError)) else 500)
            body = json.dumps({"error": str(error) or type(error).__name__})
        self.finish(body)


class Missing(DashboardHandler):
    """Any other path."""

    async def prepare(self) -> None:
        """Respond with 404, after checking access."""
        await super().prepare()
        raise web.HTTPError(404)


def serve(sockets: list[socket.socket], access: Access, is_local: bool, api: Mapping[str, ApiCall]) -> PageServer:
    """Return the server of the dashboard, not yet started."""
    shared = {"access": access, "is_local": is_local, "api": api}
    shared["cookie"] = f"proxy-policies-{sockets[0].getsockname()[1]}"
    names = "|".join(name.replace(".", r"\.") for name in FILES)
    routes = [(r"/", IndexPage, shared), (rf"/({names})", StaticFile, shared), (r"/ask/([a-z]+)", Api, shared)]
    application = web.Application(routes, default_handler_class=Missing, default_handler_args=shared)
    return PageServer(sockets, application, MAX_BODY)
