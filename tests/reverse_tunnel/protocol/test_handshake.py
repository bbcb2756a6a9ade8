"""Who gets in, and who does not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.reverse_tunnel.protocol.handshake import HomeHandshake, Terms, WorkHandshake
from proxy_policies.reverse_tunnel.protocol.messages import (
    Challenge,
    Claim,
    Hello,
    Message,
    ProtocolError,
    Prove,
    Ready,
    Reason,
    Refusal,
    Refuse,
    Welcome,
)

HOME = Terms("paris", 4.0, "aa" * 32)
WORK = Terms("office", 5.0, "bb" * 32)
KEY = b"k" * 32


def talk(home: HomeHandshake, work: WorkHandshake) -> None:
    """Let the two talk until they have nothing left to say."""
    said: Message | None = work.start()
    while said is not None:
        said = work.receive(home.receive(said))


def test_without_a_secret_they_learn_each_other_s_names() -> None:
    home, work = HomeHandshake(HOME, certified="office"), WorkHandshake(WORK)
    talk(home, work)
    assert home.peer is not None
    assert work.peer is not None
    assert (home.peer.name, work.peer.name) == ("office", "paris")
    assert (home.peer.heartbeat, home.peer.silence_timeout, work.peer.silence_timeout) == (4.0, 15.0, 15.0)


def test_with_the_same_secret_and_certificate() -> None:
    home = HomeHandshake(replace(HOME, key=KEY, digest=b"cert"))
    work = WorkHandshake(replace(WORK, key=KEY, digest=b"cert"))
    talk(home, work)
    assert home.peer
    assert work.peer


@dataclass(frozen=True)
class Mismatch:
    id: str
    home: dict[str, Any]
    work: dict[str, Any]


MISMATCHES = [
    Mismatch("another secret", {"key": KEY}, {"key": b"x"}),
    Mismatch("work has none", {"key": KEY}, {}),
    Mismatch("home has none", {}, {"key": KEY}),
    Mismatch("somebody between", {"key": KEY, "digest": b"home's"}, {"key": KEY, "digest": b"his"}),
]


@pytest.mark.parametrize("mismatch", MISMATCHES, ids=lambda mismatch: mismatch.id)
def test_home_refuses(mismatch: Mismatch) -> None:
    home, work = HomeHandshake(replace(HOME, **mismatch.home)), WorkHandshake(replace(WORK, **mismatch.work))
    with pytest.raises(Refusal) as refused:
        talk(home, work)
    assert refused.value.reason is Reason.SECRET
    assert home.peer is None


def test_work_refuses_a_home_without_the_secret() -> None:
    work = WorkHandshake(replace(WORK, key=KEY))
    work.start()
    work.receive(Challenge("cc" * 32, 4.0))
    with pytest.raises(Refusal, match="secret"):
        work.receive(Welcome("dd" * 32, "paris"))
    assert work.peer is None


def test_a_proof_sent_back_is_no_proof() -> None:
    """Reflection: a home that knows nothing returns work's own proof."""
    work = WorkHandshake(replace(WORK, key=KEY))
    work.start()
    prove = work.receive(Challenge(WORK.nonce, 4.0))
    assert isinstance(prove, Prove)
    with pytest.raises(Refusal):
        work.receive(Welcome(prove.proof, "paris"))


def test_a_proof_is_good_for_one_nonce() -> None:
    terms = replace(WORK, key=KEY)
    old = HomeHandshake(replace(HOME, key=KEY))
    work = WorkHandshake(terms)
    prove = work.receive(old.receive(work.start()))
    new = HomeHandshake(replace(HOME, key=KEY, nonce="ee" * 32))
    new.receive(work.start())
    assert prove is not None
    with pytest.raises(Refusal):
        new.receive(prove)


def test_a_certificate_s_name_is_the_name() -> None:
    with pytest.raises(Refusal, match="the certificate says lab, not office") as refused:
        HomeHandshake(HOME, certified="lab").receive(WorkHandshake(WORK).start())
    assert refused.value.reason is Reason.NOT_ALLOWED


def test_a_home_s_certificate_s_name_is_its_name() -> None:
    home, work = HomeHandshake(HOME), WorkHandshake(WORK, certified="lyon")
    with pytest.raises(Refusal, match="the certificate says lyon, not paris") as refused:
        talk(home, work)
    assert refused.value.reason is Reason.NOT_ALLOWED
    assert work.peer is None


def test_versions() -> None:
    with pytest.raises(Refusal, match="work speaks version 2, this side speaks 1"):
        HomeHandshake(HOME).receive(replace(WorkHandshake(WORK).start(), version=2))
    work = WorkHandshake(WORK)
    work.start()
    with pytest.raises(Refusal, match="home speaks version 9"):
        work.receive(Challenge("cc" * 32, 4.0, version=9))


def test_another_protocol() -> None:
    with pytest.raises(ProtocolError):
        HomeHandshake(HOME).receive(replace(WorkHandshake(WORK).start(), protocol="frp"))


def test_work_hears_why_it_is_refused() -> None:
    with pytest.raises(Refusal, match="not allowed: office"):
        WorkHandshake(WORK).receive(Refuse(Reason.NOT_ALLOWED, "office"))


HELLO = Hello("office", "bb" * 32, 4.0)
CHALLENGE = Challenge("cc" * 32, 4.0)
ANY = st.sampled_from([HELLO, CHALLENGE, Prove(""), Prove("ab" * 32), Welcome(""), Ready(), Claim("office", "t" * 43)])


@given(st.lists(ANY, max_size=6), st.booleans())
def test_no_order_of_messages_gets_past_home_without_the_proof(messages: list[Message], secret: bool) -> None:
    home = HomeHandshake(replace(HOME, key=KEY if secret else b""))
    done = []
    for message in messages:
        try:
            home.receive(message)
        except (Refusal, ProtocolError):
            break
        done.append(message)
    assert (home.peer is not None) == (not secret and done[:2] == [HELLO, Prove("")])


@given(st.lists(ANY, max_size=6))
def test_no_order_of_messages_gets_past_work_without_the_proof(messages: list[Message]) -> None:
    work = WorkHandshake(replace(WORK, key=KEY))
    work.start()
    for message in messages:
        try:
            work.receive(message)
        except (Refusal, ProtocolError):
            break
    assert work.peer is None
