"""How the options' texts are read."""

import pytest

from proxy_policies.encoding.options import parse_codings, read_rule
from proxy_policies.rules import parse_rule


@pytest.mark.parametrize(
    ("texts", "codings"),
    [
        (["zstd", "br", "gzip"], ("zstd", "br", "gzip")),
        (["gzip"], ("gzip",)),
        (["br,gzip"], ("br", "gzip")),
        ([" GZIP ", "gzip"], ("gzip",)),
        (["off"], ()),
        ([""], ()),
        ([], ()),
    ],
)
def test_parse_codings(texts: list[str], codings: tuple[str, ...]) -> None:
    assert parse_codings(texts) == codings


@pytest.mark.parametrize("texts", [["brotli"], ["gzip", "off"], ["gzip br"], ["identity"]])
def test_what_we_do_not_make_is_refused(texts: list[str]) -> None:
    with pytest.raises(
        ValueError, match="is not a supported coding; choose among zstd, br, gzip, deflate, or off alone"
    ):
        parse_codings(texts)


def test_a_rule() -> None:
    assert read_rule(parse_rule("/~d example.test/gzip")).codings == ("gzip",)
    assert read_rule(parse_rule("//off")).codings == ()
    with pytest.raises(ValueError, match="'//lzma': 'lzma' is not a supported coding"):
        read_rule(parse_rule("//lzma"))
