"""Messages read without their schema."""

from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.capture.binary_summary import summary
from proxy_policies.capture.streams import protobuf


def delimited(number: int, value: bytes) -> bytes:
    assert len(value) < 128
    return bytes([number << 3 | 2, len(value)]) + value


INNER = delimited(1, b"inside") + bytes([2 << 3, 0x96, 0x01])
MESSAGE = delimited(1, "grüße".encode()) + delimited(3, INNER) + delimited(1, b"again") + b"\x25\x01\0\0\0"


def test_fields_are_by_their_numbers() -> None:
    assert protobuf.to_value(MESSAGE) == {"1": ["grüße", "again"], "3": {"1": "inside", "2": 150}, "4": 1}


def test_texts_are_replaced_and_lengths_made_right() -> None:
    longer = protobuf.rewrite(MESSAGE, lambda text: text * 20 if text == "inside" else text)
    assert protobuf.to_value(longer) == {"1": ["grüße", "again"], "3": {"1": "inside" * 20, "2": 150}, "4": 1}
    assert protobuf.rewrite(longer, lambda text: "inside" if text == "inside" * 20 else text) == MESSAGE


@given(st.binary())
def test_whatever_it_is_nothing_replaced_is_nothing_changed(data: bytes) -> None:
    assert protobuf.rewrite(data, lambda text: text) == data
    protobuf.to_value(data)


def test_what_is_no_message_is_bytes() -> None:
    assert protobuf.to_value(b"\xff\xff") == summary(b"\xff\xff")
    nested = b""
    for _ in range(100):
        nested = b"\x0a" + bytes([len(nested)]) + nested if len(nested) < 120 else nested
    assert protobuf.to_value(nested)
