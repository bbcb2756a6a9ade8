"""Who follows whom: collapsed forwarding as a model."""

import asyncio
import gc
import weakref

import pytest

from proxy_policies.cache.collapsing import (
    HIT_FOR_MISS_TTL,
    LEADER_AGE,
    MAX_UNSHARED,
    CollapsedForwarding,
    Identity,
    LeaderOutcome,
    conditions_of,
    expects_fresh,
    gathering_time,
    identity_of,
    may_follow,
    may_lead,
    names_in,
    served_by,
)
from proxy_policies.cache.incoming_body import IncomingBody, Room
from proxy_policies.cache.rfc9111.decision import ForwardReason, Miss, Validate, decide
from tests.support.cache_cases import KEY, NOW, asked, stored

SAME: Identity = (KEY, ())


def test_the_identity_has_what_selects_the_answer() -> None:
    plain = identity_of(asked("Cookie: a=1"), ())
    assert plain == identity_of(asked("Cookie: a=2", "If-None-Match: x"), ())
    assert plain != identity_of(asked(key="http://other.test/"), ())
    assert identity_of(asked("Cookie: a=1"), ["cookie"]) != identity_of(asked("Cookie: a=2"), ["cookie"])
    assert identity_of(asked("Cookie: a"), ["cookie", "x"]) == identity_of(asked("Cookie: a"), ["x", "cookie"])
    for field in ("Authorization: Basic YQ==", "Range: bytes=0-1", 'If-Range: "x"'):
        assert identity_of(asked(field), ()) != plain
    assert names_in([stored("Vary: A, b"), stored("Vary: c")]) == {"a", "b", "c"}


def test_a_head_leads_those_only_who_ask_for_a_head_as_well() -> None:
    known, made = asked(), CollapsedForwarding()
    head = known._replace(method="HEAD")
    leader = made.lead(identity_of(head, ()), "c", NOW, conditions_of(head))
    assert not made.is_led(identity_of(known, ()))
    for request, found in ((known, None), (head, leader), (asked('If-None-Match: "a"', method="HEAD"), None)):
        conditions = conditions_of(request)
        assert made.find(identity_of(request, ()), 0, NOW, fresh=True, conditions=conditions) is found


@pytest.mark.parametrize(
    ("request_", "leads", "follows"),
    [
        (asked(), True, True),
        (asked(method="HEAD"), True, True),
        (asked("Cache-Control: no-cache"), True, False),
        (asked("Cache-Control: max-age=0"), True, False),
        (asked("Cache-Control: no-store"), False, False),
        (asked(method="POST"), False, False),
        (asked('If-Match: "x"'), False, False),
        (asked(has_body=True), False, False),
    ],
)
def test_who_may_lead_and_who_follow(request_: object, leads: bool, follows: bool) -> None:
    decision = decide(request_, (), NOW)  # type: ignore[arg-type]
    assert may_lead(request_, decision) is leads  # type: ignore[arg-type]
    assert may_follow(request_, decision) is follows  # type: ignore[arg-type]


def test_what_the_answer_is_expected_to_be() -> None:
    expired = decide(asked(), [stored("Cache-Control: max-age=1", 'ETag: "x"', age=5)], NOW)
    always = decide(asked(), [stored("Cache-Control: no-cache, max-age=9", 'ETag: "x"')], NOW)
    assert isinstance(expired, Validate)
    assert expects_fresh(expired)
    assert not expects_fresh(always)
    assert expects_fresh(Miss(ForwardReason.URI_MISS))
    entry = stored("Cache-Control: max-age=0", 'ETag: "x"').replace(requested_at=NOW - 4, received_at=NOW)
    assert gathering_time(decide(asked(), [entry], NOW)) == pytest.approx(0.4)
    assert gathering_time(Miss(ForwardReason.URI_MISS)) == 0


def test_whom_an_answer_serves() -> None:
    fresh, always = stored("Cache-Control: max-age=9"), stored("Cache-Control: max-age=0", 'ETag: "x"')
    assert served_by(asked(), [fresh], NOW, validated=False)
    assert not served_by(asked(), [always], NOW, validated=False)
    hit = served_by(asked(), [always], NOW, validated=True)
    assert hit
    assert hit.entry is always
    other = stored("Vary: cookie", "Cache-Control: max-age=9", request=("Cookie: a",))
    assert not served_by(asked("Cookie: b"), [other], NOW, validated=True)


def test_a_possibly_private_response_that_must_be_validated_is_not_shared() -> None:
    lines = "Cache-Control: max-age=0", 'ETag: "x"'
    for entry in (stored(*lines), stored(*lines).replace(personal=True)):
        assert not served_by(asked("Cookie: b"), [entry], NOW, validated=True)
        assert not may_follow(asked("Cookie: b"), decide(asked("Cookie: b"), [entry], NOW))
        assert not may_follow(asked("Cookie: b"), Miss(ForwardReason.URI_MISS), [entry])
    assert not served_by(asked(), [stored(*lines).replace(personal=True)], NOW, validated=True)
    for_all = stored("Cache-Control: public, max-age=0", 'ETag: "x"')
    assert served_by(asked("Cookie: b"), [for_all], NOW, validated=True)
    assert may_follow(asked("Cookie: b"), decide(asked("Cookie: b"), [for_all], NOW))


async def test_who_asked_before_it_began_may_follow_what_must_be_validated() -> None:
    table = CollapsedForwarding()
    early, leader = table.moment(), table.lead(SAME, "c", NOW)
    assert table.find(SAME, early, NOW, fresh=False) is leader
    leader.began = table.moment()
    late = table.moment()
    assert table.find(SAME, early, NOW, fresh=False) is leader
    assert table.find(SAME, late, NOW, fresh=False) is None
    assert table.find(SAME, late, NOW, fresh=True) is leader
    assert table.find(SAME, late, NOW, fresh=True, excluded=[leader]) is None
    assert table.find(SAME, late, NOW + LEADER_AGE, fresh=True) is None
    table.answered(leader, stored(), NOW + LEADER_AGE)
    assert table.find(SAME, late, NOW + LEADER_AGE, fresh=True) is leader


async def test_followers_learn_what_became_of_their_leader() -> None:
    for outcome in LeaderOutcome:
        table = CollapsedForwarding()
        leader = table.lead(SAME, "c", NOW)
        waiting = [asyncio.create_task(leader.until(lambda: False)) for _ in range(3)]
        await asyncio.sleep(0)
        assert [leader.is_needed] == [True]
        table.end(leader, outcome, NOW)
        table.end(leader, LeaderOutcome.FAILED, NOW)
        await asyncio.gather(*waiting)
        assert leader.outcome in {outcome}
        assert [leader.is_needed] == [False]
        assert not table.is_led(SAME)
        assert not table.by_client
        assert table.is_unshared(SAME, NOW + 1) is (outcome is LeaderOutcome.UNSHARED)
        assert not table.is_unshared(SAME, NOW + HIT_FOR_MISS_TTL)


async def test_who_has_other_conditions_does_not_follow() -> None:
    table = CollapsedForwarding()
    same, other = (conditions_of(asked(f'If-None-Match: "{tag}"')) for tag in ("v1", "v2"))
    leader, moment = table.lead(SAME, "c", NOW, same), table.moment()
    assert table.find(SAME, moment, NOW, fresh=True, conditions=same) is leader
    assert table.find(SAME, moment, NOW, fresh=True, conditions=other) is None
    assert table.find(SAME, moment, NOW, fresh=True) is None
    table.end(leader, LeaderOutcome.UNSHARED, NOW)
    assert table.is_unshared(SAME, NOW, other)
    head = conditions_of(asked(method="HEAD"))
    for conditions in ((), head):  # what a 304 keeps for one client a 200 may not, nor a head
        assert not table.is_unshared(SAME, NOW, conditions)
    table.end(table.lead(SAME, "c", NOW, head), LeaderOutcome.UNSHARED, NOW)
    assert table.is_unshared(SAME, NOW, head)
    assert not table.is_unshared(SAME, NOW)
    table.end(table.lead(SAME, "c", NOW), LeaderOutcome.UNSHARED, NOW)
    assert table.is_unshared(SAME, NOW)


async def test_a_range_is_found_in_a_whole_that_has_come_so_far() -> None:
    table = CollapsedForwarding()
    leader = table.lead(SAME, "c", NOW)
    near, far = asked("Range: bytes=90-199"), asked("Range: bytes=101-")
    assert table.find_whole(near, (), NOW) is None  # its response is unknown
    leader.body = IncomingBody(Room(), leader.changed)
    leader.body.feed(bytes(100))
    table.answered(leader, stored(size=1000), NOW)
    assert table.find_whole(near, (), NOW) is leader
    assert table.find_whole(far, (), NOW) is None
    assert table.find_whole(asked("Range: bytes=-5"), (), NOW) is None
    assert table.find_whole(asked("Range: lines=1-"), (), NOW) is None
    leader.body.feed(b"x")
    assert table.find_whole(far, (), NOW) is leader
    leader.entry = stored(size=0)  # it says no length
    assert table.find_whole(near, (), NOW) is None


async def test_a_new_leader_is_not_forgotten_with_the_old_one() -> None:
    table = CollapsedForwarding()
    old, new = table.lead(SAME, "c", NOW), table.lead(SAME, "c", NOW)
    table.end(old, LeaderOutcome.STORED, NOW)
    assert table.find(SAME, table.moment(), NOW, fresh=True) is new
    assert table.by_client == {"c": [new]}


async def test_what_was_not_shared_is_remembered_within_bounds_and_until_it_is() -> None:
    table = CollapsedForwarding()
    for number in range(MAX_UNSHARED + 1):
        table.end(table.lead((str(number), ()), "c", NOW), LeaderOutcome.UNSHARED, NOW)
    assert not table.is_unshared(("0", ()), NOW)
    assert table.is_unshared(("1", ()), NOW)
    table.answered(table.lead(("1", ()), "c", NOW), stored(), NOW)
    assert not table.is_unshared(("1", ()), NOW)


async def test_a_leader_is_needed_while_its_body_is_read() -> None:
    table = CollapsedForwarding()
    leader = table.lead(SAME, "c", NOW)
    leader.body = IncomingBody(Room(), leader.changed)
    leader.body.feed(b"x")
    reader = leader.body.open()
    assert reader
    released = asyncio.create_task(leader.unneeded())
    await asyncio.sleep(0)
    assert not released.done()
    await reader.close()
    await released


async def test_a_body_is_freed_with_its_leader_without_the_garbage_collector() -> None:
    table = CollapsedForwarding()
    leader = table.lead(SAME, "c", NOW)
    leader.body = IncomingBody(Room(), leader.changed)
    leader.body.feed(b"x")
    leader.body.finish()
    table.end(leader, LeaderOutcome.STORED, NOW)
    body = weakref.ref(leader.body)
    gc.disable()
    try:
        del leader
        assert body() is None
    finally:
        gc.enable()
