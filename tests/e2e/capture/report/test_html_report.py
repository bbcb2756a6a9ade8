"""The report's page in real Chromium."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.support.browser import chromium, serious_faults

from proxy_policies.capture.check.noise import NoiseRules
from proxy_policies.capture.check.outcome import (
    MAX_DETAILED,
    CompareOptions,
    Outcome,
    Report,
    drop_excess_bodies,
    evaluate,
)
from proxy_policies.capture.check.results import SendResult
from proxy_policies.capture.model import Body, Request, Response
from proxy_policies.capture.report.html_report import page_html

JSON = (("Content-Type", "application/json"),)


def an_outcome(number: int, old: str, new: str) -> Outcome:
    request = Request("GET", f"http://shop.test/api/products?page={number}")
    before = Response(200, "OK", JSON, Body(old.encode()))
    sent = SendResult(Response(200, "OK", JSON, Body(new.encode())), 0.02 * number)
    return evaluate(number, request, before, 0.03, sent, CompareOptions(NoiseRules()))


@pytest.fixture
def page_file(tmp_path: Path) -> Path:
    items = ", ".join(f'{{"id": {n}, "name": "Product {n}", "price": {n}.5}}' for n in range(1, 15))
    outcomes = [
        an_outcome(n, f'{{"items": [{items}], "at": 17600000{n:02}}}', f'{{"items": [{items}], "at": 17610000{n:02}}}')
        for n in range(1, 30)
    ]
    outcomes[6] = an_outcome(7, f'{{"items": [{items}]}}', f'{{"items": [{items.replace("3.5", "3.85")}]}}')
    evil = "</script><script>document.title='owned'</script><img src=x onerror=document.title='owned'>"
    outcomes[9] = an_outcome(10, '{"name": "plain"}', f'{{"name": "{evil}"}}')
    report = Report("shop.har", "recording", "http://127.0.0.1:9000", started=1.76e9)
    report.finish(outcomes, 4.2)
    path = tmp_path / "report.html"
    path.write_text(page_html(report))
    return path


def open_page(page: Page, path: Path) -> list[str]:
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda request: problems.append(request.url) if not request.url.startswith("file:") else None)
    page.goto(path.as_uri())
    return problems


def test_a_capture_in_which_everything_changed_opens(tmp_path: Path) -> None:
    """Of a hundred thousand entries the page shows those that differ, as many as a browser takes."""
    many = 100_000
    same = [an_outcome(n, "{}", "{}") for n in range(0, many, 2)]
    changed = drop_excess_bodies(an_outcome(n, '{"n": 1}', '{"n": 2}') for n in range(1, many, 2))
    report = Report("big.har", "recording", "http://127.0.0.1:9000", started=1.76e9)
    report.finish(sorted([*same, *changed], key=lambda outcome: outcome.number), 4.2)
    assert sum(outcome.old is not None for outcome in report.outcomes) == MAX_DETAILED
    path = tmp_path / "report.html"
    path.write_text(page_html(report))
    assert path.stat().st_size < 4 << 20
    with chromium("about:blank") as page:
        problems = open_page(page, path)
        assert page.inner_text("h1") == "50000 requests of 100000 differ"
        assert page.inner_text("#left-out").startswith("98000 more")
        assert page.locator("#list a").count() == MAX_DETAILED
        assert page.locator("#detail mark").count() > 0
        assert not problems


def test_the_page_shows_what_changed(page_file: Path) -> None:
    with chromium("about:blank") as page:
        problems = open_page(page, page_file)
        assert serious_faults(page) == []
        assert page.inner_text("h1") == "2 requests of 29 differ"
        assert page.locator("nav a").count() == 2
        assert "json:$.items[2].price" in page.inner_text(".changes")
        assert page.locator(".diff .w mark").first.inner_text() == "8"
        _filters(page)
        _choices(page)
        _shapes(page)
        page.screenshot(path=page_file.with_name("light.png"))
        page.keyboard.press("t")
        assert page.get_attribute("html", "data-theme") == "dark"
        assert serious_faults(page) == []
        page.screenshot(path=page_file.with_name("dark.png"))
        assert page.title() != "owned"
        assert problems == []


def _filters(page: Page) -> None:
    page.click("text=all 29")
    assert page.locator("nav a").count() == 29
    page.fill("#search", "page=12")
    assert page.locator("nav a").count() == 1
    page.fill("#search", "")
    page.click("text=changed 2")
    page.locator("body").click(position={"x": 5, "y": 5})
    page.keyboard.press("j")
    assert "entry 11" in page.inner_text("#detail")
    page.keyboard.press("k")
    assert "entry 8" in page.inner_text("#detail")


def _choices(page: Page) -> None:
    page.click("text=all 29")
    page.fill("#path", "/api/*ducts")
    assert page.locator("nav a").count() == 29
    page.fill("#path", "/other")
    assert page.locator("nav a").count() == 0
    page.fill("#path", "")
    page.select_option("#kind", "json")
    assert page.locator("nav a").count() == 2
    page.select_option("#kind", "")
    assert page.locator("#host").is_hidden()
    assert page.inner_text("#request").startswith("GET http://shop.test/api/products?page=")
    page.clock.install()
    page.clock.pause_at(2e9)  # it says so for a moment only
    page.click("text=Copy as curl")
    expect(page.locator(".copy")).to_have_text("Copied")
    page.clock.run_for(1500)
    expect(page.locator(".copy")).to_have_text("Copy as curl")
    page.clock.resume()  # the next test of the page may need its clock, too
    page.click("text=changed 2")


def _shapes(page: Page) -> None:
    rows = page.locator(".diff tr td.w").count()
    assert page.locator(".diff col").count() == 4
    page.click("#shape")
    assert page.locator(".diff col").count() == 3
    assert page.locator(".diff tr td.w").count() == rows
    page.click("#shape")
    page.locator(".fold button").first.press("Enter")
    assert '"name": "Product 1"' in page.inner_text(".diff")
