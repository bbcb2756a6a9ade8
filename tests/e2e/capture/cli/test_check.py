"""Real use: a web application and its client recorded, replayed, and checked against builds with planted changes."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit
from xml.etree import ElementTree

import pytest
from tests.support.capture_commands import capture
from tests.support.clone import ROOT
from tests.support.shop_app import PASSWORD

from proxy_policies.capture.har.reader import open_capture

SHOP = ROOT / "tests" / "support" / "shop_app.py"
StartShop = Callable[..., str]


@pytest.fixture
def shop() -> Iterator[StartShop]:
    """Start a build of the shop, with changes planted in it; gives its URL."""
    running = []

    def start(*changes: str, first_order: int = 100) -> str:
        command = [sys.executable, str(SHOP), str(first_order), *changes]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        running.append(process)
        assert process.stdout
        return f"http://127.0.0.1:{int(process.stdout.readline())}"

    yield start
    for process in running:
        process.terminate()
        process.wait(100)
        assert process.stdout
        process.stdout.close()


@pytest.fixture
def recorded(shop: StartShop, tmp_path: Path) -> Path:
    url = shop()
    done = capture(tmp_path, "record", "shop.har", "--", *client(url))
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "25 products, ordered 2 of 3"
    (tmp_path / "url").write_text(url)
    return tmp_path / "shop.har"


def client(url: str) -> list[str]:
    return ["env", f"PYTHONPATH={ROOT}", sys.executable, "-m", "tests.support.shop_client", url]


def check(recorded: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    secret = ("--secret", "password=env:SHOP_PASSWORD")
    os.environ["SHOP_PASSWORD"] = PASSWORD
    try:
        return capture(recorded.parent, "check", "shop.har", *secret, *arguments)
    finally:
        del os.environ["SHOP_PASSWORD"]


def test_the_shop_is_replayed_offline(recorded: Path) -> None:
    url = (recorded.parent / "url").read_text()
    done = capture(recorded.parent, "replay", "--mode", "strict", "shop.har", "--", *client(url))
    assert (done.returncode, done.stdout.strip()) == (0, "25 products, ordered 2 of 3"), done.stderr
    assert PASSWORD not in recorded.read_text()
    assert len(list(open_capture(recorded))) == 7


def test_an_unchanged_build_is_the_same(recorded: Path, shop: StartShop) -> None:
    done = check(recorded, "--target", shop(first_order=700), "--learn", "--show-links")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "7 the same" in done.stdout
    assert "carried over: entry 1 cookie:sid → entry 2 cookie:sid" in done.stdout
    assert "entry 1 input:csrf_token → entry 2 form:csrf_token" in done.stdout
    rules = recorded.with_name("shop.har.noise").read_text()
    assert "header:x-node" in rules


def test_rules_of_noise_may_come_from_a_pipe(recorded: Path, shop: StartShop) -> None:
    """A shell's `--noise <(…)`, which can be read once."""
    pipe = recorded.with_name("rules")
    os.mkfifo(pipe)
    requests = [entry.request for entry in open_capture(recorded)]
    rules = [f"{request.method} {urlsplit(request.url).path} header:x-frame-options\n" for request in requests]
    threading.Thread(target=pipe.write_text, args=("".join(rules),), daemon=True).start()
    done = check(recorded, "--target", shop("header", first_order=700), "--noise", str(pipe), "--json", "-")
    assert done.returncode in (0, 1), done.stderr
    found = json.loads(done.stdout)["outcomes"]
    assert "header:x-frame-options" not in {change["location"] for outcome in found for change in outcome["changes"]}


PLANTED = {
    "header": {"header:x-frame-options"},
    "heading": {"text:3"},
    "price": {"json:$.items[2].price"},
    "status": {"status"},
    "gone": {"json:$.count"},
}


@pytest.mark.parametrize(("change", "places"), PLANTED.items(), ids=PLANTED)
def test_exactly_the_planted_change_is_found(change: str, places: set[str], recorded: Path, shop: StartShop) -> None:
    done = check(recorded, "--target", shop(change, first_order=500), "--learn", "--json", "-", "--jobs", "3")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "7 requests in " in done.stderr
    report = json.loads(done.stdout)
    assert {found["location"] for outcome in report["outcomes"] for found in outcome["changes"]} == places


def test_reports_for_people_and_ci(recorded: Path, shop: StartShop) -> None:
    files = ("--html", "r.html", "--junit", "r.xml", "--json", "r.json")
    done = check(recorded, "--target", shop("price", "status"), "--learn", *files)
    assert done.returncode == 1
    assert "json:$.items[2].price  4.5 → 4.95" in done.stdout
    suite = ElementTree.parse(recorded.with_name("r.xml")).getroot()[0]
    assert (suite.get("tests"), suite.get("errors")) == ("7", "0")
    assert int(suite.get("failures") or 0) == len(suite.findall("testcase/failure")) == 2
    page = recorded.with_name("r.html").read_text()
    assert "http-equiv" in page or "<!doctype html>" in page
    for name in ("r.html", "r.xml", "r.json"):
        assert PASSWORD not in recorded.with_name(name).read_text()


def test_a_slower_answer_is_found(recorded: Path, shop: StartShop) -> None:
    done = check(recorded, "--target", shop("slow"), "--learn", "--slower", "20", "--json", "r.json")
    report = json.loads((recorded.parent / "r.json").read_text())
    assert done.returncode in (0, 1)
    assert report["outcomes"][-1]["ms"][1] >= 500


def test_compare_tells_two_builds_apart(recorded: Path, shop: StartShop) -> None:
    secrets = recorded.with_name("secrets")
    secrets.write_text(f"# for the tests\npassword={PASSWORD}\n")
    arguments = ("--secrets", "secrets", "--learn", "--json", "r.json")
    old, new = shop(first_order=10), shop("gone", first_order=20)
    done = capture(recorded.parent, "compare", old, new, "shop.har", *arguments)
    assert done.returncode == 1, done.stdout + done.stderr
    report = json.loads((recorded.parent / "r.json").read_text())
    assert {found["location"] for outcome in report["outcomes"] for found in outcome["changes"]} == {"json:$.count"}
    done = capture(recorded.parent, "compare", old, old, "shop.har", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr


REFUSED = {
    "no secret": (("--target", "{url}"), "no value for entry 2, POST"),
    "down": (("--target", "http://127.0.0.1:1"), "cannot reach http://127.0.0.1:1: Connection refused"),
    "no target": ((), "nothing to send to: give --target URL"),
    "no url": (("--target", "shop"), "write a URL such as"),
    "unknown origin": (("--target", "http://x=http://y"), "the capture has no http://x"),
    "unset": (("--secret", "a=env:NOT_SET_HERE"), "NOT_SET_HERE is not set in the environment"),
    "no folder": (("--html", "no/r.html"), "no: no such folder"),
}


@pytest.mark.parametrize(("arguments", "text"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_run_is_said_before_anything_is_sent(
    arguments: tuple[str, ...], text: str, recorded: Path, shop: StartShop
) -> None:
    url = shop() if "{url}" in arguments else ""
    done = capture(recorded.parent, "check", "shop.har", *(part.format(url=url) for part in arguments))
    assert done.returncode == 2
    assert text in done.stderr
    assert "Traceback" not in done.stderr
