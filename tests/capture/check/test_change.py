"""Which changes are of values that differ each time, and which times are slower."""

import pytest

from proxy_policies.capture.check.change import Change, slower

UUIDS = ("0b0fa1a4-9d0b-4f6e-8a53-3c1e4d1c2b3a", "5c9e5ad6-4f9c-49c8-b1b6-3d3e0e4d9b11")
SECRETS = ("secret_7bc4d01edb229726_token032", "secret_4170d99fc4aae77c_token032")
DYNAMIC = {
    "times": (Change("json:$.at", "2026-01-02T03:04:05Z", "2026-01-03T03:04:05Z"), True),
    "epochs": (Change("json:$.at", 1760000000.5, 1761111111.25), True),
    "kinds differ": (Change("json:$.at", 1760000000, "2026-01-03T03:04:05Z"), False),
    "plain": (Change("json:$.n", 1, 2), False),
    "one number, written otherwise": (Change("json:$.n", 1, 1.0), True),
    "a number is no text": (Change("json:$.at", 1760000000, "1770000000"), False),
    "seconds are no milliseconds": (Change("json:$.at", 1760000000, 1760000000000), False),
    "line": (Change("text:1", "at 2026-01-02T03:04:05Z", "at 2026-01-03T03:04:05Z"), True),
    "an id in a field": (Change("header:location", f"/orders/{UUIDS[0]}", f"/orders/{UUIDS[1]}"), True),
    "an id in a link": (Change("json:$.self", f"/orders/{UUIDS[0]}?x=1", f"/orders/{UUIDS[1]}?x=1"), True),
    "another query": (Change("json:$.self", f"/orders/{UUIDS[0]}?x=1", f"/orders/{UUIDS[1]}?x=2"), False),
    "another path": (Change("header:location", f"/orders/{UUIDS[0]}", f"/carts/{UUIDS[1]}"), False),
    "a hash in a field": (Change("header:etag", '"4114d0a64af08d75"', '"e6d1d5d39fff7931"'), True),
    "a weak one": (Change("header:etag", '"4114d0a64af08d75"', 'W/"e6d1d5d39fff7931"'), False),
    "numbers in a field": (Change("header:location", "/orders/17", "/orders/18"), False),
    "ends of validity": (
        Change("header:expires", "Sat, 28 Nov 2026 10:00:00 GMT", "Sun, 29 Nov 2026 10:00:00 GMT"),
        True,
    ),
    "secrets in a field": (Change("header:location", f"/x?t={SECRETS[0]}", f"/x?t={SECRETS[1]}"), False),
}


@pytest.mark.parametrize(("change", "expected"), DYNAMIC.values(), ids=DYNAMIC)
def test_values_that_differ_each_time_are_known(change: Change, expected: bool) -> None:
    assert change.is_dynamic is expected


def test_slower_wants_a_factor_and_a_tenth_of_a_second() -> None:
    assert [change.location for change in slower(0.1, 0.4, 3)] == ["time"]
    assert slower(0.001, 0.01, 3) == []
    assert slower(0.1, 9.0, 0) == []
