"""Globs over media types."""

import pytest

from proxy_policies.encoding.types import TEXT_LIKE, parse_types


@pytest.mark.parametrize(
    ("globs", "content_type", "included"),
    [
        (TEXT_LIKE, "text/html", True),
        (TEXT_LIKE, "TEXT/HTML;charset=UTF-8", True),
        (TEXT_LIKE, "application/ld+json", True),
        (TEXT_LIKE, "image/svg+xml", True),
        (TEXT_LIKE, "image/jpeg", False),
        (TEXT_LIKE, "application/octet-stream", False),
        (TEXT_LIKE, "application/x-text/html", False),
        (TEXT_LIKE, "", False),
        (TEXT_LIKE, None, False),
        (("*",), "video/mp4", True),
        (("*", "!video/*"), "video/mp4", False),
        (("!text/css", "text/*"), "text/css", False),
        (("!text/css", "text/*"), "text/html", True),
        ((), "text/html", False),
        (("text/[!h]*",), "text/html", False),
    ],
)
def test_include(globs: tuple[str, ...], content_type: str | None, included: bool) -> None:
    assert parse_types(globs).include(content_type) is included


@pytest.mark.parametrize("glob", ["text", "", "text/html;charset=x", "text/html, text/css", "!", "a/b/c", "text /html"])
def test_what_is_no_media_type_is_quoted(glob: str) -> None:
    with pytest.raises(ValueError, match=r"is not a valid media type; write globs such as text/\*") as error:
        parse_types(["text/*", glob])
    assert repr(glob) in str(error.value)
