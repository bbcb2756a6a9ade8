"""Entity tags made weak, and strong again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.encoding import tags
from proxy_policies.encoding.tags import Weakened, names_weakly
from proxy_policies.fields import Fields

HOST = "example.test"


def restored(value: str, name: str = "If-None-Match", ours: tuple[str, ...] = ('"a"', '"b"')) -> str | None:
    weakened = Weakened()
    for tag in ours:
        weakened.weaken(Fields.of(("ETag", tag)), HOST)
    return weakened.restore(Fields.of((name, value)), HOST).get(name)


def test_a_strong_tag_is_made_weak() -> None:
    assert Weakened().weaken(Fields.of(("etag", '"a"')), HOST).get("ETag") == 'W/"a"'


@pytest.mark.parametrize("tag", ['W/"a"', "a", "", '"a'])
def test_other_tags_are_left(tag: str) -> None:
    fields = Fields.of(("ETag", tag))
    assert Weakened().weaken(fields, HOST) == fields


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('W/"a"', '"a"'),
        ('W/"a", W/"c", "d", W/"b"', '"a", W/"c", "d", "b"'),
        ('W/"c"', 'W/"c"'),
        ("*", "*"),
        ('"a"', '"a"'),
        ("a, W/b", "a, W/b"),
    ],
)
def test_only_ours_is_restored(value: str, expected: str) -> None:
    assert restored(value) == expected
    assert restored(value, "If-Match") == expected


def test_if_range_is_left() -> None:
    assert restored('W/"a"', "If-Range") == 'W/"a"'


def test_a_tag_is_its_hosts() -> None:
    weakened = Weakened()
    weakened.weaken(Fields.of(("ETag", '"a"')), "other.test")
    assert weakened.restore(Fields.of(("If-Match", 'W/"a"')), HOST).get("If-Match") == 'W/"a"'


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tags, "REMEMBERED", 2)
    assert restored('W/"a", W/"b", W/"c"', ours=('"a"', '"b"', '"a"', '"c"')) == '"a", W/"b", "c"'


@given(st.text("abc ,;/!é", min_size=1).map(lambda text: text.replace(" ", "")))
def test_restoring_undoes_weakening(opaque: str) -> None:
    weakened, tag = Weakened(), f'"{opaque}"'
    sent = weakened.weaken(Fields.of(("ETag", tag)), HOST).get("ETag")
    assert sent == f"W/{tag}"
    assert weakened.restore(Fields.of(("If-None-Match", sent)), HOST).get("If-None-Match") == tag


@pytest.mark.parametrize(
    ("condition", "etag", "named"),
    [
        ('W/"a"', '"a"', True),
        ('"b", W/"a"', '"a"', True),
        ('"a"', '"a"', False),
        ('W/"a"', 'W/"a"', False),
        ('W/"b"', '"a"', False),
        (None, '"a"', False),
        ('W/"a"', None, False),
    ],
)
def test_names_weakly(condition: str | None, etag: str | None, named: bool) -> None:
    assert names_weakly(condition, etag) is named
