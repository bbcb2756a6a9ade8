"""A file's values fit to the options they name."""

from collections.abc import Sequence
from typing import Any

import pytest
from mitmproxy.options import Options

from proxy_policies.policy_file.coercion import coerce_all, to_type
from proxy_policies.policy_file.document import FileOption
from proxy_policies.settings import Setting, parse_size

FITS = {
    "text": ("64m", str, "64m"),
    "a number as text": (64, str, "64"),
    "a switch as text": (True, str, "on"),
    "one of a list": ("zstd", Sequence[str], ["zstd"]),
    "a list": (["zstd", "gzip"], Sequence[str], ["zstd", "gzip"]),
    "an empty list": ([], Sequence[str], []),
    "no text": (None, str | None, None),
    "no number": (None, int | None, None),
    "a whole number": (3, int, 3),
    "a boolean": (False, bool, False),
}


@pytest.mark.parametrize(("value", "typespec", "fitted"), FITS.values(), ids=FITS)
def test_fits(value: Any, typespec: Any, fitted: Any) -> None:
    assert to_type(value, typespec) == fitted


MISFITS = {
    "a list for text": (["a", "b"], str, "takes one value, not 2"),
    "nothing for text": (None, str, "None is neither text nor a number"),
    "nothing for a list": (None, Sequence[str], "None is neither text nor a number"),
    "a mapping": ({"a": 1}, str, "neither text nor a number"),
    "a word for a number": ("three", int, "write a whole number"),
    "a boolean for a number": (True, int, "write a whole number"),
    "a fraction": (1.5, int | None, "write a whole number"),
    "a word for a boolean": ("on", bool, "write true or false"),
    "a number for a boolean": (1, bool, "write true or false"),
}


@pytest.mark.parametrize(("value", "typespec", "reason"), MISFITS.values(), ids=MISFITS)
def test_misfits_say_what_would_be_right(value: Any, typespec: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        to_type(value, typespec)


def test_names_the_line_the_option_and_the_reason() -> None:
    options = Options()
    options.add_option("cache_size", str, "64m", "")
    settings: dict[str, Setting[Any]] = {"cache_size": Setting("64m", parse_size, "")}
    assert coerce_all([FileOption("cache_size", 10, 1)], options, settings) == {"cache_size": "10"}
    with pytest.raises(ValueError, match=r"^line 7, option cache_size: 'lots': write a size such as"):
        coerce_all([FileOption("cache_size", "lots", 7)], options, settings)
    with pytest.raises(ValueError, match=r"^line 2, option cache_sise: no such option; did you mean cache_size"):
        coerce_all([FileOption("cache_sise", "1m", 2)], options, settings)


def test_a_choice_is_one_of_them() -> None:
    options = Options()
    options.add_option("layout", str, "wide", "", choices=["wide", "narrow"])
    with pytest.raises(ValueError, match=r"line 1, option layout: 'round': choose one of wide, narrow"):
        coerce_all([FileOption("layout", "round", 1)], options, {})


@pytest.mark.parametrize("name", ["home_secret", "cache_purge", "proxyauth", "cert_passphrase"])
def test_a_secret_is_not_quoted(name: str) -> None:
    options = Options()
    options.add_option(name, str, "", "")
    with pytest.raises(ValueError, match="line 1, option") as refused:
        coerce_all([FileOption(name, "hunter2", 1)], options, {name: Setting("1k", parse_size, "")})
    assert "hunter2" not in str(refused.value)
