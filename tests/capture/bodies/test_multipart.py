"""Where the parts of a multipart body are."""

import pytest

from proxy_policies.capture.bodies.multipart import boundary_of, is_form_data

BOUNDARIES = {
    "said": (b"--abc\r\n", "multipart/form-data; boundary=abc", b"abc"),
    "quoted": (b"--a b\r\n", 'multipart/form-data; boundary="a b"', b"a b"),
    "not said": (b"--x-1\r\nHost", "multipart/form-data", b"x-1"),
    "said wrongly": (b"--x-1\r\nHost", "multipart/form-data; boundary=other", b"x-1"),
    "with a space": (b"--  x\r\nHost", "multipart/form-data", b"  x"),
    "blank": (b"--  \r\nHost", "multipart/form-data", b""),
    "none": (b"no parts", "multipart/form-data", b""),
}


@pytest.mark.parametrize(("content", "mime", "boundary"), BOUNDARIES.values(), ids=BOUNDARIES)
def test_the_boundary_is_found(content: bytes, mime: str, boundary: bytes) -> None:
    assert boundary_of(content, mime) == boundary


def test_a_form_is_known_by_its_first_part() -> None:
    assert is_form_data(b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--')
    assert not is_form_data(b'-- \r\nContent-Disposition: form-data; name="a"\r\n\r\n1')
    assert not is_form_data(b"form-data; of which nothing is a part")
