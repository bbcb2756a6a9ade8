"""`proxy-policies cache`."""

from collections.abc import Callable
from typing import Any

from tests.support.curl import curl


def test_it_lists_shows_and_purges(asked: Any, run: Callable[..., str]) -> None:
    assert curl("-x", asked.proxy.url, asked.stored).status == 200
    assert run("cache", "stats").startswith("1 response, ")
    assert run("cache", "list").startswith(f"{asked.stored}  200, ")
    assert run("cache", "list", "nowhere") == "nothing found\n"
    assert "cache-control: max-age=600" in run("cache", "show", asked.stored).lower()
    assert run("cache", "purge", "--soft", asked.stored) == "made stale: 1\n"
    assert run("cache", "purge", asked.stored) == "purged: 1\n"


def test_what_was_named_and_is_not_there_is_an_error(run: Callable[..., str]) -> None:
    url = "http://a.test/"
    for words in (["show", url], ["purge", url], ["purge", "--soft", url], ["show", url, "--json"]):
        assert run("cache", *words, code=1) == f"proxy-policies cache: nothing is stored under {url}\n"
    assert run("cache", "purge", f"{url}*") == "purged: 0\n"
    assert run("cache", "purge", "tag:none") == "purged: 0\n"


def test_what_is_no_selector_is_refused(run: Callable[..., str]) -> None:
    assert run("cache", "purge", "", code=1).startswith("proxy-policies cache: ")
