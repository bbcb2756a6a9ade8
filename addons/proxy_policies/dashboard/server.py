"""The page and what it asks for."""

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
from proxy_policies.page_server import PageServer, is_own_name

PAGE = Path(__file__).parent / "page"
FILES = {"dashboard.css": "text/css", "dashboard.js": "text/javascript"}
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
CSRF_FIELD = "X-CSRF-Token"
"""The field in which our page sends back the token that it was given."""
LARGEST = 64 * 1024
"""Bytes of a request's body."""

Ask = Callable[..., Awaitable[object]]
"""Answers a question with what JSON can hold; raises ValueError with why it cannot."""

logger = logging.getLogger(__name__)


class Handler(web.RequestHandler):
    """What all have: fields that keep others out, and the question who asks."""

    is_open = False
    """Whoever has not entered may see it, too."""
    is_known = False
    """Whether this is from somebody who has entered."""

    def initialize(self, access: Access, is_local: bool, ask: Mapping[str, Ask], cookie: str) -> None:
        """Take what the server has."""
        self._access, self._is_local, self._ask, self._cookie = access, is_local, ask, cookie

    def set_default_headers(self) -> None:
        """Say nothing of who serves it; let nothing be kept, framed, or brought in from elsewhere."""
        self.clear_header("Server")
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("Cross-Origin-Resource-Policy", "same-origin")
        self.set_header("Content-Security-Policy", CSP)

    async def prepare(self) -> None:
        """Refuse names that are not ours, and whoever has not entered."""
        if self._is_local and not is_own_name(self.request.host_name):
            raise web.HTTPError(403, reason="Not Our Name")
        self.is_known = await self._knows()
        if not self.is_open and not self.is_known:
            raise web.HTTPError(401)

    async def _knows(self) -> bool:
        """Return whether this is from somebody who has entered, or has the password in Authorization."""
        if self._access.has_entered(self.get_cookie(self._cookie, "") or ""):
            return True
        scheme, _, password = self.request.headers.get("Authorization", "").partition(" ")
        return scheme.lower() == "bearer" and await self.try_password(password) is not None

    async def try_password(self, password: str) -> str | None:
        """Return the cookie for a password; None for a wrong one, for which whoever has guessed of late has to wait.

        Whoever has the right one does not: others at his address may be guessing.
        """
        cookie = self._access.enter(password)
        if cookie is None:
            address, clock = self.request.remote_ip or "", asyncio.get_running_loop().time
            self._access.guesses.wrong(address, clock())
            await asyncio.sleep(self._access.guesses.delay(address, clock()))
        return cookie

    def write_error(self, status_code: int, **_: Any) -> None:
        """Say what is wrong in a line."""
        self.set_header("Content-Type", "text/plain")
        self.finish(f"{status_code} {self._reason}\n")


class Home(Handler):
    """The page; the form for the password where nobody has entered."""

    is_open = True

    async def get(self) -> None:
        """Give it; with `?token=` the cookie, and the page without it in its address."""
        if token := self.get_query_argument("token", ""):
            await self._enter(token)
        elif self.is_known:
            self._give("index.html", csrf_token=self._access.csrf_token)
        else:
            self.set_status(401)
            self._give("login.html", wrong="")

    async def post(self) -> None:
        """Take the password of the form."""
        await self._enter(self.get_body_argument("password", ""))

    async def _enter(self, password: str) -> None:
        cookie = await self.try_password(password)
        if cookie is None:
            self.set_status(401)
            self._give("login.html", wrong="That is not the password.")
            return
        self.set_cookie(self._cookie, cookie, httponly=True, samesite="Strict", path="/")
        self.redirect("/", status=303)

    def _give(self, name: str, **texts: str) -> None:
        page = (PAGE / name).read_text()
        for key, text in texts.items():
            page = page.replace(f"{{{{ {key} }}}}", escape.xhtml_escape(text))
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.finish(page)


class File(Handler):
    """What the page is made of, which says nothing of this proxy."""

    is_open = True

    def get(self, name: str) -> None:
        """Give a file."""
        self.set_header("Content-Type", f"{FILES[name]}; charset=utf-8")
        self.finish((PAGE / name).read_bytes())


class Question(Handler):
    """What the page asks for: `GET /ask/NAME?…` gives, `POST` changes."""

    async def get(self, name: str) -> None:
        """Answer a question that changes nothing."""
        await self._answer(f"get {name}", {key: self.get_query_argument(key) for key in self.request.query_arguments})

    async def post(self, name: str) -> None:
        """Change something, if our own page asks for it."""
        fields = self.request.headers
        if not self._access.may_change(fields.get(CSRF_FIELD, ""), fields.get("Origin", ""), self.request.host):
            raise web.HTTPError(403)
        try:
            asked = json.loads(self.request.body)
        except (ValueError, RecursionError):
            asked = None
        if not isinstance(asked, dict) or not all(isinstance(value, str) for value in asked.values()):
            raise web.HTTPError(400)
        await self._answer(f"post {name}", asked)

    async def _answer(self, name: str, asked: Mapping[str, str]) -> None:
        ask = self._ask.get(name)
        if ask is None:
            raise web.HTTPError(404)
        self.set_header("Content-Type", "application/json")
        try:
            answer = json.dumps({"result": await ask(**asked)})
        except Exception as error:  # as on the control socket: nothing that is asked is raised where the proxy runs
            logger.debug("dashboard: cannot answer", exc_info=True)
            self.set_status(400 if isinstance(error, (ValueError, TypeError)) else 500)
            answer = json.dumps({"error": str(error) or type(error).__name__})
        self.finish(answer)


class Missing(Handler):
    """Whatever else is asked for."""

    async def prepare(self) -> None:
        """Say that there is nothing."""
        await super().prepare()
        raise web.HTTPError(404)


def serve(sockets: list[socket.socket], access: Access, is_local: bool, ask: Mapping[str, Ask]) -> PageServer:
    """Return the server of the page, which has not begun yet."""
    shared = {"access": access, "is_local": is_local, "ask": ask}
    shared["cookie"] = f"proxy-policies-{sockets[0].getsockname()[1]}"
    names = "|".join(name.replace(".", r"\.") for name in FILES)
    routes = [(r"/", Home, shared), (rf"/({names})", File, shared), (r"/ask/([a-z]+)", Question, shared)]
    application = web.Application(routes, default_handler_class=Missing, default_handler_args=shared)
    return PageServer(sockets, application, LARGEST)
