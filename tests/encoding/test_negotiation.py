"""Which coding a client gets."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.encoding.codecs import CODECS
from proxy_policies.encoding.negotiation import IDENTITY, Accepted, choose

ALL = ("zstd", "br", "gzip")


@dataclass
class Case:
    id: str
    accept: str | None
    coding: str
    ours: tuple[str, ...] = ALL


CASES = [
    Case("no field", None, IDENTITY),
    Case("empty field", "", IDENTITY),
    Case("gzip alone", "gzip", "gzip"),
    Case("x-gzip is gzip", "x-gzip", "gzip"),
    Case("case does not matter", "GZip", "gzip"),
    Case("curl --compressed", "deflate, gzip, br, zstd", "zstd"),
    Case("a browser", "gzip, deflate, br", "br"),
    Case("our order decides", "gzip, br, zstd", "gzip", ("gzip", "zstd", "br")),
    Case("the client's weights come first", "gzip;q=1.0, br;q=0.5", "gzip"),
    Case("anything", "*", "zstd"),
    Case("anything but", "zstd;q=0, *", "br"),
    Case("the star does not override a name", "gzip;q=0.2, *;q=0", "gzip"),
    Case("q=0", "gzip;q=0", IDENTITY),
    Case("q=0.000", "gzip;q=0.000, br;q=0.001", "br"),
    Case("identity preferred", "identity, gzip;q=0.5", IDENTITY),
    Case("identity on a par", "identity, gzip", "gzip"),
    Case("identity excluded", "identity;q=0, gzip;q=0.001", "gzip"),
    Case("nothing of ours", "compress, identity;q=0", IDENTITY),
    Case("none of ours are on", "gzip", IDENTITY, ()),
    Case("broken weight", "gzip;q=often", IDENTITY),
    Case("white space", " gzip ; q=0.5 ,\tbr ; q=0.4", "gzip"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_choose(case: Case) -> None:
    assert choose(Accepted(case.accept), case.ours) == case.coding


@pytest.mark.parametrize(
    ("accept", "acceptable"),
    [(None, True), ("gzip", True), ("identity;q=0", False), ("*;q=0", False), ("*;q=0, identity;q=0.1", True)],
)
def test_identity_is_acceptable_unless_excluded(accept: str | None, acceptable: bool) -> None:
    assert Accepted(accept).identity is acceptable


names = st.sampled_from([*CODECS, IDENTITY, "*", "x-gzip", "compress"])
weights = st.integers(0, 1000).map(lambda n: f";q={n / 1000:.3f}") | st.just("")
accepts = st.lists(st.tuples(names, weights), max_size=6, unique_by=lambda m: m[0].removeprefix("x-"))


@given(accepts, st.permutations(list(CODECS)))
def test_a_coding_of_weight_zero_is_never_chosen(members: list[tuple[str, str]], codings: list[str]) -> None:
    accepted = Accepted(", ".join(name + weight for name, weight in members))
    ours = tuple(codings)
    chosen = choose(accepted, ours)
    assert chosen == IDENTITY or accepted.weight(chosen) > 0
    assert all(accepted.weight(coding) <= accepted.weight(chosen) for coding in ours) or chosen == IDENTITY
    refused = {name.removeprefix("x-") for name, weight in members if weight == ";q=0.000"}
    assert chosen == IDENTITY or chosen not in refused


@given(st.text())
def test_any_text_gives_a_coding(text: str) -> None:
    assert choose(Accepted(text), ALL) in (*ALL, IDENTITY)
