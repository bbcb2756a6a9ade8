"""HAR files of other programs are parsed entry by entry, as the JSON parser reads them as a whole."""

import json
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.capture.har.foreign_entries import entries_of

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
MEMBERS = st.dictionaries(st.text(max_size=5).filter(lambda name: name not in ("log", "entries")), VALUES, max_size=3)


@st.composite
def documents(draw: st.DrawFn) -> str:
    """Return a document whose members are in any order, with any layout."""
    log = draw(MEMBERS) | {"entries": draw(st.lists(VALUES, max_size=4))}
    document = draw(MEMBERS) | {"log": dict(draw(st.permutations(list(log.items()))))}
    ordered = dict(draw(st.permutations(list(document.items()))))
    return draw(st.sampled_from(["", "\ufeff", " \n"])) + json.dumps(
        ordered, indent=draw(st.sampled_from([None, 1])), ensure_ascii=draw(st.booleans())
    )


def split(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


@given(documents(), st.integers(1, 50))
def test_entries_and_log_are_those_of_the_whole(text: str, size: int) -> None:
    data = text.encode("utf-8", "surrogatepass")
    expected = json.loads(data)["log"]
    log: dict[str, Any] = {}
    entries = list(entries_of(split(data, size), log))
    assert (entries, log) == (expected.pop("entries"), expected)


@given(documents(), st.data())
def test_a_document_that_was_cut_off_is_refused(text: str, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(text.rstrip()) - 1))
    with pytest.raises(ValueError, match=r"."):
        list(entries_of([text[:cut].encode("utf-8", "surrogatepass")], {}))


REFUSED = {
    "two logs": '{"log": {"entries": []}, "log": {"entries": [1]}}',
    "two lists": '{"log": {"entries": [], "entries": [1]}}',
    "two versions": '{"log": {"version": 1, "version": 2, "entries": []}}',
    "no list": '{"log": {"entries": {}}}',
    "no entries": '{"log": {}}',
    "no log": "{}",
    "a list": "[]",
    "more": '{"log": {"entries": []}} x',
    "no comma": '{"log": {"entries": [1 2]}}',
    "a comma": '{"log": {"entries": [1,]}}',
    "no name": '{log: {"entries": []}}',
    "UTF-16": '{"log": {"entries": []}}'.encode("utf-16").decode("latin-1"),
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_what_is_unusual_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        list(entries_of([text.encode("latin-1")], {}))


def test_only_one_entry_is_in_memory() -> None:
    entry = b'{"request": "' + b"x" * 10_000 + b'"}'

    def pieces() -> Iterator[bytes]:
        yield b'{"log": {"entries": [' + entry
        for _ in range(500):
            yield b"," + entry
        yield b"]}}"

    tracemalloc.start()
    try:
        assert sum(1 for _ in entries_of(pieces(), {})) == 501
        assert tracemalloc.get_traced_memory()[1] < 500_000
    finally:
        tracemalloc.stop()
