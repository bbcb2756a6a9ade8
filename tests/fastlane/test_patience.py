import pytest

from proxy_policies.fastlane.patience import Limits, Wait, idlest, limits_for


def test_seconds_by_what_is_waited_for() -> None:
    limits = Limits(head=1, idle=2, send=3)
    assert [limits.seconds(wait) for wait in Wait] == [float("inf"), 2, 1, 3]


@pytest.mark.parametrize(
    ("files", "most"), [(8, 16), (1024, 512), (1 << 62, 16384)], ids=["few", "usual", "as many as one likes"]
)
def test_half_of_the_files_may_idle(files: int, most: int) -> None:
    assert limits_for(files).idle_most == most


@pytest.mark.parametrize(
    ("waited", "most", "expected"),
    [([], 2, []), ([5, 1], 2, []), ([5, 1, 9], 2, [2]), ([5, 1, 9, 7], 2, [2, 3]), ([1, 1], 0, [0, 1])],
    ids=["none", "room", "one too many", "the idlest first", "no room"],
)
def test_who_has_to_go(waited: list[float], most: int, expected: list[int]) -> None:
    assert sorted(idlest(waited, most)) == expected


def test_looks_often_enough_for_the_shortest_limit() -> None:
    assert Limits().between_looks == 1.0
    assert Limits(send=0.4).between_looks == pytest.approx(0.1)
