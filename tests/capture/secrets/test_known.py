"""Secrets that were seen, found again however they are written."""

import base64
import json
from urllib.parse import quote

import pytest

from proxy_policies.capture.secrets.known import FEW, KNOWN_LIMIT, KnownSecrets, sweep

SECRET = "aB3/xY7+zQ9w=kL"


def known(*secrets: str) -> KnownSecrets:
    found = KnownSecrets()
    for number, secret in enumerate(secrets):
        found.add(secret, f"<{number}>")
    return found


SPELLINGS = {
    "as it is": SECRET,
    "percent": quote(SECRET, safe=""),
    "lower percent": quote(SECRET, safe="").replace("%2F", "%2f").replace("%2B", "%2b").replace("%3D", "%3d"),
    "php": SECRET.replace("/", "\\/"),
    "json": json.dumps(SECRET)[1:-1],
    "html": SECRET.replace("+", "+"),
}


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
def test_a_spelling_is_found_and_swept(spelling: str) -> None:
    text = f"a {spelling} b"
    assert sweep(text, known(SECRET).within([text])) == "a <0> b"


@pytest.mark.parametrize("before", ["", "j", "jo", "joe:"])
def test_base64_of_a_secret_is_found_wherever_it_begins(before: str) -> None:
    coded = base64.b64encode(f"{before}{SECRET}!".encode()).decode()
    assert "<0>" in sweep(coded, known(SECRET).within([coded]))


def test_the_longest_comes_first() -> None:
    text = "hunter2-Q9xZ-longer hunter2-Q9xZ"
    assert sweep(text, known("hunter2-Q9xZ", "hunter2-Q9xZ-longer").within([text])) == "<1> <0>"


def test_many_are_found_as_few_are() -> None:
    secrets = [f"{number:04d}-a1B2c3D4" for number in range(FEW * 3)]
    text = "-".join(["x" * 70_000, *secrets])
    assert {pair[1] for pair in known(*secrets).within([text])} == {f"<{number}>" for number in range(FEW * 3)}


def test_the_least_recently_seen_is_forgotten() -> None:
    secrets = [f"{number:04d}-a1B2c3D4" for number in range(KNOWN_LIMIT)]
    found = known(*secrets)
    found.add(secrets[0], "<again>")
    found.add("one-more-a1B2c3D4", "<new>")
    assert [bool(found.within([text])) for text in (secrets[0], secrets[1], "one-more-a1B2c3D4")] == [True, False, True]


def test_nothing_is_within_what_has_none() -> None:
    assert known().within([SECRET]) == []
    assert known(SECRET).within(["nothing"]) == []


@pytest.mark.parametrize("before", range(9))
@pytest.mark.parametrize("length", [8, 9, 12])
def test_a_secret_among_many_is_found_wherever_it_stands(before: int, length: int) -> None:
    secrets = [f"{number:02d}x-Q9zT4mKp"[:length] for number in range(FEW + 2)]
    for text in ("-" * before + secrets[3], "-" * before + secrets[3] + "-" * 9):
        assert [pair[1] for pair in known(*secrets).within([text])] == ["<3>"]
