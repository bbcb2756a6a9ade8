"""Without the token the page cannot be read or used, also from other pages, and under other host names."""

import json
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.support.curl import Result, curl
from tests.support.mitmdump import Mitmdump
from tests.support.origin import Answer, Origin
from tests.support.waiting import free_port

Start = Callable[..., Mitmdump]


class Site:
    def __init__(self, proxy: Mitmdump) -> None:
        self.proxy = proxy
        self.url, self.token = proxy.wait_log(r"dashboard: (http://[^/]+)/\?token=(\w+)").groups()
        self.entered = ("-H", f"Authorization: Bearer {self.token}")

    def get(self, path: str, *arguments: str) -> Result:
        return curl(self.url + path, *arguments)

    def post(self, name: str, asked: Any, *arguments: str) -> Result:
        return curl(f"{self.url}/ask/{name}", "--json", json.dumps(asked), *arguments)


@pytest.fixture
def site(mitmdump: Start) -> Site:
    return Site(mitmdump("--set", f"dashboard={free_port()}", "--set", "cache=memory"))


def test_wrong_passwords_are_delayed_and_the_right_one_is_accepted(site: Site) -> None:
    """By Authorization, in the address, and by the form alike; a cookie of before a restart is no guess."""
    stale = ("-b", f"proxy-policies-{site.url.rpartition(':')[2]}=stale")
    assert {site.get("/ask/now", *stale).status for _ in range(5)} == {401}
    guesses = [("/ask/now", "-H", "Authorization: Bearer wrong"), ("/?token=wrong",), ("/", "-d", "password=wrong")]
    assert [site.get(*guess).status for guess in guesses] == [401] * 3
    begun = time.monotonic()
    assert site.get(*guesses[0]).status == 401
    assert time.monotonic() - begun > 0.3
    with ThreadPoolExecutor(10) as pool:
        wrong = [pool.submit(site.get, *guesses[0]) for _ in range(10)]
        assert site.get("/ask/now", *site.entered).status == 200
    assert {guess.result().status for guess in wrong} == {401}


def test_who_may_see_it_and_who_may_change_anything(site: Site) -> None:
    for path in ("/ask/now", "/ask/entries", "/ask/nothing", "/elsewhere", "/page/index.html", "/../addon.py"):
        assert site.get(path, "--path-as-is").status == 401, path
        assert site.get(path, "-H", "Authorization: Basic wrong").status == 401, path
        assert site.get(path, "-b", f"proxy-policies-{site.url.rpartition(':')[2]}=wrong").status == 401, path
    page = site.get("/")
    assert (page.status, b"dashboard.js" in page.body) == (401, False)
    assert site.get("/?token=wrong").status == 401
    entered = site.get(f"/?token={site.token}")
    cookie = entered.get("set-cookie") or ""
    assert (entered.status, entered.get("location")) == (303, "/"), "the token is in no address for long"
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
    assert site.token not in cookie
    page = site.get("/", "-b", cookie.partition(";")[0])
    assert page.status == 200
    csrf = ("-H", "X-CSRF-Token: " + re.findall(r'name="csrf-token" content="([^"]+)"', page.body.decode())[0])
    assert site.get("/", *site.entered, "-H", "Host: attacker.test").status == 403
    assert site.get("/ask/now", *site.entered, "-H", "Host: attacker.test").status == 403
    record = {"stream": "x"}
    assert site.post("close", record, *site.entered).status == 403, "not our page"
    assert site.post("close", record, *csrf).status == 401
    assert site.post("close", record, *site.entered, *csrf, "-H", "Origin: http://attacker.test").status == 403
    assert site.post("close", record, *site.entered, *csrf, "-H", f"Origin: {site.url}").status == 400
    for wrong, said in (([], b"400"), ({"entry": 1}, b"400"), ({"other": "x"}, b"error"), ({"entry": "x"}, b"error")):
        answer = site.post("purge", wrong, *site.entered, *csrf)
        assert (answer.status, said in answer.body) == (400, True), wrong
    assert b"it is already closed" in site.post("close", record, *site.entered, *csrf).body
    assert site.get("/ask/now?since=x", *site.entered).status == 400
    assert site.get("/ask/purge?what=x", *site.entered).status == 404, "a GET changes nothing"


def test_nothing_comes_from_elsewhere_and_nothing_is_kept(site: Site) -> None:
    for path in ("/", "/dashboard.js", "/dashboard.css", "/ask/now"):
        answer = site.get(path, *site.entered)
        assert answer.status == 200
        policy = answer.get("content-security-policy") or ""
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert (answer.get("cache-control"), answer.get("server")) == ("no-store", None)
        assert re.findall(rb"https?://(?!www\.w3\.org/)", answer.body) == [] or path == "/ask/now"


def test_a_url_with_an_asterisk_is_purged_alone(site: Site, origin: Callable[..., Origin]) -> None:
    server = origin()
    server.route("/", Answer(headers=[("Cache-Control", "max-age=1000")]))
    for path in ("/a*", "/ab"):
        assert curl("-x", site.proxy.url, "-g", server.url + path).status == 200
    page = site.get("/", *site.entered).body.decode()
    csrf = ("-H", "X-CSRF-Token: " + re.findall(r'name="csrf-token" content="([^"]+)"', page)[0])
    rows = json.loads(site.get("/ask/entries", *site.entered).body)["result"]["rows"]
    starred = next(row["id"] for row in rows if "/a*" in row["shown"])
    assert b"purged: 1" in site.post("purge", {"entry": starred}, *site.entered, *csrf).body
    rows = json.loads(site.get("/ask/entries", *site.entered).body)["result"]["rows"]
    assert [row["shown"].partition(" ")[0] for row in rows] == [f"{server.url}/ab"]
