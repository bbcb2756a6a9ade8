"""The size and the hash of binary data."""

from proxy_policies.capture import dynamic_values
from proxy_policies.capture.binary_summary import summary


def test_a_summary_differs_with_the_data_and_is_no_dynamic_value() -> None:
    found = {summary(bytes([255, number])) for number in range(100)}
    assert len(found) == 100
    assert {dynamic_values.mask(text) for text in found} == found
    assert min(found).startswith("2 bytes, sha256 ")
