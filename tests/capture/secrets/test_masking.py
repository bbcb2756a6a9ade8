"""What is masked in a log is what is replaced in a capture."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.capture.secrets import masking
from proxy_policies.capture.secrets.masking import MASK, mask_url
from proxy_policies.capture.secrets.shapes import SHAPES

TOKEN = "k3J9xQ2vLm8Zr7Tn5Yc1"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("http://host/a?b=c&d=e", "http://host/a?b=c&d=e"),
        (f"/a?token={TOKEN}&b=c", f"/a?token={MASK}&b=c"),
        ("http://user:hunter22@host/", f"http://user:{MASK}@host/"),
        (f"/reset-password/{TOKEN}", f"/reset-password/{MASK}"),
        (f"/?next=%2Fx%3Ftoken%3D{TOKEN}", f"/?next=%2Fx%3Ftoken%3D{MASK}"),
        (f"/files/ghp_{TOKEN * 2}", f"/files/{MASK}"),
    ],
)
def test_what_is_masked(text: str, masked: str) -> None:
    assert mask_url(text) == masked


_STARTS = [mark for mark, _ in SHAPES] + [
    "http://",
    "/reset/",
    "token",
    "H4sI",
    "77u/",
    "cGFzc3dvcmQ6",
    "bot123456:",
    "",
]
_PIECE = st.from_regex(re.compile(r"[A-Za-z0-9_./:-]{0,14}"), fullmatch=True)
_URLS = st.lists(st.tuples(st.sampled_from(_STARTS), _PIECE), max_size=5).map(
    lambda pairs: "".join(map("".join, pairs))
)


@given(_URLS | st.from_regex(masking._PLAIN_URL, fullmatch=True))
def test_urls_that_are_searched_for_shapes_only_have_no_other_secrets(text: str) -> None:
    assert mask_url(text) == masking._redactor.url(text)
