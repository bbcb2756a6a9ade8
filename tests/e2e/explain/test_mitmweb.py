"""mitmweb in a real browser shows what the policies did, and options edited there take effect."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

import pytest
from playwright.sync_api import Locator, Page, expect
from tests.support.browser import TIMEOUT, chromium, serious_faults
from tests.support.curl import Result
from tests.support.mitmdump import Mitmdump
from tests.support.origin import Answer, Origin
from tests.support.waiting import PATIENCE, wait_until

TEXT = ("Content-Type", "text/plain")
FRESH = ("Cache-Control", "max-age=60")
MIB = 1024 * 1024

expect.set_options(timeout=TIMEOUT)


@dataclass
class Web:
    """A mitmweb, a page that looks at it, and an origin."""

    proxy: Mitmdump
    page: Page
    origin: Origin
    _curl: Any

    def get(self, path: str, *arguments: str) -> Result:
        """Fetch something through the proxy, and wait until the page has its row."""
        before = self.rows.count()
        result: Result = self._curl("-x", self.proxy.url, f"{self.origin.url}{path}", *arguments)
        expect(self.rows).to_have_count(before + 1)
        return result

    @property
    def rows(self) -> Locator:
        return self.page.locator(".flow-table tbody tr:has(td)")

    def ask(self, path: str) -> Any:
        """Return what mitmweb itself has, where the page may be ahead of it."""
        return self.page.request.get(urljoin(self.page.url, path)).json()

    def tab(self, name: str) -> Locator:
        """Choose a tab of the flow's detail and give the detail."""
        self.page.locator(".flow-detail nav a", has_text=name).click()
        return self.page.locator(".flow-detail section")

    def told(self, row: int) -> Locator:
        """Choose a flow and the Policy view of its response; give the view's text."""
        self.rows.nth(row).click()
        self.tab("Response")
        self.page.locator(".contentview .controls a", has_text="View:").click()
        self.page.locator(".dropdown-menu li").get_by_text("policy", exact=True).click()
        return self.page.locator(".flow-detail pre")

    def open_options(self) -> None:
        self.page.locator("header").get_by_text("Options", exact=True).click()
        self.page.get_by_text("Edit Options").click()

    def option(self, name: str, kind: str = "") -> Locator:
        """Return an option's field."""
        return self.page.locator(f".modal-content {kind}[name={name}]")

    def set(self, name: str, value: str) -> None:
        """Write into an option's field."""
        self.open_options()
        self.option(name).fill(value)

    def close_options(self, **wanted: Any) -> None:
        """Close the options, once the proxy has those that were written: each is sent by itself, some time later."""
        wait_until(
            lambda: {name: self.ask("/options.json")[name]["value"] for name in wanted} == wanted, 20, f"{wanted}"
        )
        self.page.locator(".modal-header button").click()
        expect(self.page.locator(".modal-content")).to_have_count(0)


@pytest.fixture
def web(
    mitmdump: Callable[..., Mitmdump],
    origin: Callable[..., Origin],
    curl: Any,
    free_port: Callable[[], int],
) -> Iterator[Web]:
    """Start mitmweb with every policy, and a browser that looks at it."""
    proxy = mitmdump("--no-web-open-browser", "--set", f"web_port={free_port()}", program="mitmweb")
    url = proxy.wait_log(r"Web server listening at (\S+)")[1]
    with chromium(url) as page:
        yield Web(proxy, page, origin(), curl)


def test_the_policy_view_tells_of_buffered_streamed_and_cached_answers(web: Web, tmp_path: Any) -> None:
    web.origin.route("/text", Answer(headers=[TEXT, FRESH], body=b"words " * 1000))
    web.origin.route("/chunks", Answer(headers=[TEXT], body=[b"one\n", b"two\n"]))
    web.origin.route("/large", Answer(headers=[("Content-Type", "image/png")], body=b"x" * 3 * MIB))
    for path in ("/text", "/text", "/chunks", "/large"):
        assert web.get(path, "--compressed").status == 200
    assert len(web.origin.requests) == 3
    expect(web.told(0)).to_contain_text("encoding   zstd")
    expect(web.told(0)).to_contain_text("cache      stored")
    expect(web.told(1)).to_contain_text("cache     hit")
    expect(web.told(2)).to_contain_text("streaming  response streamed: its length is not known")
    expect(web.told(3)).to_contain_text("of the 3.0m that passed, the first 256k are kept to be looked at")
    assert serious_faults(web.page, ".flow-detail .contentview") == []
    web.page.screenshot(path=tmp_path / "policy-view.png")


def test_the_list_says_what_was_decided_and_the_policy_view_comes_first(web: Web, tmp_path: Any) -> None:
    web.origin.route("/data", Answer(headers=[("Content-Type", "application/json"), FRESH], body=b'{"words": [1, 2]}'))
    web.get("/data")
    web.get("/data")
    web.get("/unknown", "-H", "Cache-Control: only-if-cached")
    web._curl("-x", web.proxy.url, "http://127.0.0.1:1/")
    expect(web.rows).to_have_count(4)
    shown = web.page.locator(".flow-table td.col-comment")
    for row, word in enumerate(("miss · ", "hit · ", "refused · ", "failed · ")):
        expect(shown.nth(row)).to_contain_text(word)
    web.rows.nth(1).click()
    web.tab("Response")
    text = web.page.locator(".flow-detail pre")
    expect(text).to_contain_text("cache     hit: fresh for ")
    expect(text).to_contain_text('"words": [')
    web.page.screenshot(path=tmp_path / "list.png")


def test_the_comment_has_the_verdict_where_no_view_is_called(web: Web) -> None:
    web.origin.route("/empty", Answer(204, headers=[FRESH], body=b""))
    web.get("/empty")
    web.rows.nth(0).click()
    expect(web.tab("Response")).to_contain_text("No content")
    expect(web.tab("Comment")).to_contain_text("cache: ")


def test_a_users_comment_stays(web: Web) -> None:
    web.get("/")
    web.rows.nth(0).click()
    comment = web.tab("Comment").locator("textarea, .inline-input, [contenteditable]").first
    expect(comment).to_contain_text("cache: ")
    comment.click()
    comment.fill("look at this")
    web.tab("Response")
    wait_until(lambda: web.ask("/flows")[0]["comment"] == "look at this", 20, "the comment")
    web.page.locator("header").get_by_text("Flow", exact=True).click()
    web.page.get_by_text("Replay", exact=True).click()
    web.proxy.wait_log(r"(?s)(server connect.*){2}")
    expect(web.tab("Comment")).to_contain_text("look at this")


def test_an_option_edited_live_takes_effect_and_a_bad_one_is_refused(web: Web) -> None:
    web.origin.route("/", Answer(headers=[TEXT], body=b"words " * 100))
    assert web.get("/small", "--compressed").get("content-encoding") is None
    web.set("encode_min_size", "10")
    web.close_options(encode_min_size="10")
    assert web.get("/now", "--compressed").get("content-encoding") == "zstd"
    web.set("encode_min_size", "lots")
    why = "option encode_min_size='lots': write a size such as 512, 64k, 10m or 1g"
    web.proxy.wait_log(why)
    expect(web.page.locator(".modal-content .text-danger")).to_have_text(why)
    expect(web.page.locator(".modal-content .has-error [name=encode_min_size]")).to_have_count(1)
    web.option("encode_min_size").fill("20")
    expect(web.page.locator(".modal-content .text-danger")).to_have_count(0)
    web.close_options(encode_min_size="20")
    assert web.get("/still", "--compressed").get("content-encoding") == "zstd"
    assert "Traceback" not in web.proxy.log()


def test_options_have_fields_of_their_kinds(web: Web) -> None:
    web.open_options()
    for name in ("cache_strict", "inspect_fail_open", "fast_lane", "replay_exact"):
        expect(web.option(name, "input[type=checkbox]")).to_have_count(1)
    expect(web.option("replay_mode", "select").locator("option")).to_have_text(["once", "loop", "new", "strict"])
    expect(web.option("encode", "textarea")).to_have_value("zstd\nbr\ngzip")
    web.option("forwarded_headers", "select").select_option("x-forwarded")
    web.option("cache_strict").click()  # not `check`: the box is as the proxy has it, and follows its answer
    expect(web.option("cache_strict")).to_be_checked()
    web.close_options(cache_strict=True, forwarded_headers="x-forwarded")
    web.origin.route("/", Answer(headers=[FRESH, ("Set-Cookie", "a=b")]))
    assert "fwd=uri-miss; fwd-status=200; detail=" in (web.get("/cookie").get("cache-status") or "")
    assert web.origin.requests[-1].get("x-forwarded-for") == "127.0.0.1"


def test_intercept_holds_an_answer_whole_until_it_is_resumed(web: Web) -> None:
    web.origin.route("/", Answer(headers=[("Content-Type", "image/png")], body=b"x" * 3 * MIB))
    web.set("intercept", "~s")
    web.close_options(intercept="~s")
    results: list[Result] = []
    client = threading.Thread(target=lambda: results.append(web._curl("-x", web.proxy.url, f"{web.origin.url}/")))
    client.start()
    expect(web.rows).to_have_count(1)
    web.rows.nth(0).click()
    web.page.locator("header").get_by_text("Flow", exact=True).click()
    web.page.get_by_text("Resume", exact=True).click()
    client.join(30 * PATIENCE)
    assert [len(result.body) for result in results] == [3 * MIB]
