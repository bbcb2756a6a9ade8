"""Secrets that were seen, found again however they are written."""

import base64
import json
from itertools import chain
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.capture.secrets import known_secrets
from proxy_policies.capture.secrets.known_secrets import (
    FEW_SPELLINGS,
    MAX_SECRET_LENGTH,
    MAX_SECRETS,
    MAX_TOTAL_LENGTH,
    KnownSecrets,
    sweep,
)

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
    secrets = [f"{number:04d}-a1B2c3D4" for number in range(FEW_SPELLINGS * 3)]
    text = "-".join(["x" * 70_000, *secrets])
    assert {pair[1] for pair in known(*secrets).within([text])} == {
        f"<{number}>" for number in range(FEW_SPELLINGS * 3)
    }


def test_the_least_recently_seen_is_forgotten() -> None:
    secrets = [f"{number:04d}-a1B2c3D4" for number in range(MAX_SECRETS)]
    found = known(*secrets)
    found.add(secrets[0], "<again>")
    found.add("one-more-a1B2c3D4", "<new>")
    assert [bool(found.within([text])) for text in (secrets[0], secrets[1], "one-more-a1B2c3D4")] == [True, False, True]


def test_no_more_is_remembered_than_so_many_characters() -> None:
    secrets = [f"{number:04d}".ljust(MAX_SECRET_LENGTH, "x") for number in range(MAX_TOTAL_LENGTH // MAX_SECRET_LENGTH)]
    found = known(*secrets, "y" * (MAX_SECRET_LENGTH + 1))
    found.add(secrets[-1], "<again>")
    assert [bool(found.within([text])) for text in (secrets[0], "y" * (MAX_SECRET_LENGTH + 1))] == [True, False]
    found.add("one-more-a1B2c3D4", "<new>")
    assert [bool(found.within([text])) for text in (*secrets[:2], "one-more-a1B2c3D4")] == [False, True, True]


def test_nothing_is_within_what_has_none() -> None:
    assert known().within([SECRET]) == []
    assert known(SECRET).within(["nothing"]) == []


@pytest.mark.parametrize("before", range(9))
@pytest.mark.parametrize("length", [8, 9, 12])
@pytest.mark.parametrize("end", ["x-Q9zT4mKp", "-xQyzTwmKp"], ids=["digit before a letter", "none"])
def test_a_secret_among_many_is_found_wherever_it_stands(before: int, length: int, end: str) -> None:
    secrets = [f"{number:02d}{end}"[:length] for number in range(FEW_SPELLINGS + 2)]
    for text in ("-" * before + secrets[3], "-" * before + secrets[3] + "-" * 9):
        assert [pair[1] for pair in known(*secrets).within([text])] == ["<3>"]


@given(st.data())
def test_what_is_known_is_found_in_any_text(data: st.DataObject) -> None:
    any_text = st.text("ab19-Q/\n%", max_size=30)
    secrets = data.draw(st.lists(st.text("ab19-Q/", min_size=8, max_size=30), unique=True, min_size=1, max_size=90))
    there = data.draw(st.sampled_from(secrets))
    text = data.draw(any_text) + there + data.draw(any_text)
    names = {pair[1] for pair in known(*secrets).within([text])}
    assert names >= {f"<{number}>" for number, secret in enumerate(secrets) if secret in text}


@given(
    st.text("a1", max_size=40), st.lists(st.text("a1-", min_size=8, max_size=12), min_size=1, max_size=90), st.data()
)
def test_of_secrets_that_begin_alike_those_are_found_that_are_there(
    begin: str, ends: list[str], data: st.DataObject
) -> None:
    secrets = sorted({begin + end for end in ends})
    text = "".join(data.draw(st.lists(st.sampled_from([begin, *ends, *secrets, "1", "-"]), max_size=12)))
    found = {spelling for spelling, _ in known(*secrets).within([text])}
    assert found & set(secrets) == {secret for secret in secrets if secret in text}


@given(st.lists(st.text("ab19-Q", min_size=8, max_size=12), unique=True, min_size=1, max_size=20))
def test_what_was_forgotten_is_known_again_when_it_comes_again(secrets: list[str]) -> None:
    found = known(*secrets)
    found.within([""])
    others = [f"{number:03d}-zZ9{number:03d}z" for number in range(MAX_SECRETS)]
    for other in others:
        found.add(other, "<other>")
    assert not [pair for pair in found.within(secrets) if pair[1] != "<other>"]
    for number, secret in enumerate(secrets):
        found.add(secret, f"<{number}>")
    assert {pair[1] for pair in found.within(secrets)} >= {f"<{number}>" for number in range(len(secrets))}


SECRETS = st.sampled_from([f"{number:04d}-a1B2c3D4" for number in range(9)])


@given(st.lists(st.lists(SECRETS, max_size=4), max_size=6))
def test_reading_backwards_ends_with_what_reading_forwards_does(entries: list[list[str]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(known_secrets, "MAX_SECRETS", 5)
        forwards, backwards = known(*chain.from_iterable(entries)), known()
        unread = list(entries)
        while unread and backwards.add_older(known(*unread.pop())):
            pass
        newer = [f"newer-{number}-a1B2c3D4" for number in range(6)]
        for one in newer:  # of which each has the least recently seen forgotten
            names = {secret for secret, _ in forwards.within(chain.from_iterable(entries))}
            assert {secret for secret, _ in backwards.within(chain.from_iterable(entries))} == names
            forwards.add(one, "<newer>")
            backwards.add(one, "<newer>")
