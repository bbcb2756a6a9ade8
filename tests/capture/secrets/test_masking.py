"""What is masked in a log is what is replaced in a capture."""

import pytest

from proxy_policies.capture.secrets.masking import MASK, mask_url

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
