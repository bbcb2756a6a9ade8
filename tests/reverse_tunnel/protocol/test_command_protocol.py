"""What either side of a command connection may ask."""

from __future__ import annotations

import contextlib
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.reverse_tunnel.protocol.command_protocol import (
    TOKEN_LIFETIME,
    HomeProtocol,
    OpenRequest,
    WorkProtocol,
    new_token,
)
from proxy_policies.reverse_tunnel.protocol.messages import (
    Begin,
    Message,
    Offer,
    ProtocolError,
    Ready,
    Reason,
    Refusal,
    Refuse,
    Spare,
)
from proxy_policies.reverse_tunnel.protocol.services import MAX_SPARES, Service

SSH = OpenRequest("ssh", ("192.0.2.1", 5), ("192.0.2.2", 9001))


def home(*services: str, denied: str = "") -> HomeProtocol:
    counter = itertools.count()
    session = HomeProtocol("office", lambda name: name != denied, lambda: f"{next(counter):043}")
    session.receive(Offer(services, 2))
    return session


def test_begin_and_claim() -> None:
    session = home("ssh")
    begin = session.begin(SSH, now=0)
    assert begin == Begin("0" * 43, "ssh", SSH.client, SSH.server)
    assert session.claim(begin.token, now=TOKEN_LIFETIME).call == SSH


def test_a_token_is_good_once() -> None:
    session = home("ssh")
    token = session.begin(SSH, now=0).token
    session.claim(token, now=0)
    with pytest.raises(Refusal) as refused:
        session.claim(token, now=0)
    assert refused.value.reason is Reason.STALE


def test_a_token_has_a_short_life() -> None:
    session = home("ssh")
    token = session.begin(SSH, now=0).token
    with pytest.raises(Refusal, match="stale"):
        session.claim(token, now=TOKEN_LIFETIME + 0.1)


def test_a_refused_request_uses_its_token_up() -> None:
    session = home("ssh")
    token = session.begin(SSH, now=0).token
    refuse = Refuse(Reason.REFUSED, "no route", token)
    assert session.receive(refuse) is refuse
    with pytest.raises(Refusal):
        session.claim(token, now=0)


def test_spares_are_counted_until_they_come_or_expire() -> None:
    session = home("ssh")
    tokens = [session.spare(now=0).token for _ in range(3)]
    assert session.spares_awaited == 3
    assert session.claim(tokens[0], now=1).call is None
    assert session.spares_awaited == 2
    session.expire(TOKEN_LIFETIME + 1)
    assert session.spares_awaited == 0
    assert not session.pending


def test_home_keeps_no_more_spares_than_it_likes() -> None:
    session = home()
    session.receive(Offer((), 900))
    assert session.spares == MAX_SPARES


def test_only_what_is_offered_and_allowed() -> None:
    session = home("ssh", "wiki", denied="wiki")
    assert (session.services, session.denied) == (("ssh",), ("wiki",))
    with pytest.raises(Refusal, match="may not offer wiki"):
        session.begin(OpenRequest("wiki"), now=0)
    with pytest.raises(Refusal, match="offers no mail") as refused:
        session.begin(OpenRequest("mail"), now=0)
    assert refused.value.reason is Reason.UNKNOWN
    session.review(lambda name: name == "wiki")
    assert session.services == ("wiki",)
    session.receive(Offer(("wiki", "mail"), 0))
    assert (session.services, session.denied) == (("wiki",), ("mail",))


def work() -> WorkProtocol:
    return WorkProtocol({"ssh": Service("ssh", ("student00", 22))}, 2)


def test_work_knows_its_services_by_name_only() -> None:
    assert work().offer() == Offer(("ssh",), 2)
    assert work().service("ssh").address == ("student00", 22)
    for name in ("student00", "wiki", ""):
        with pytest.raises(Refusal, match="offers no"):
            work().service(name)


def test_what_home_may_say() -> None:
    for message in (Begin("t" * 43, "ssh"), Spare("t" * 43)):
        assert work().receive(message) is message
    with pytest.raises(Refusal, match="replaced: by another"):
        work().receive(Refuse(Reason.REPLACED, "by another"))


@pytest.mark.parametrize("message", [Ready(), Begin("t" * 43, "ssh")], ids=["ready", "begin"])
def test_what_has_no_place(message: Message) -> None:
    with pytest.raises(ProtocolError):
        home().receive(message)
    with pytest.raises(ProtocolError):
        work().receive(Ready())


def test_tokens_are_long_and_never_the_same() -> None:
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert {len(token) for token in tokens} == {43}


ACTIONS = st.lists(st.tuples(st.sampled_from(["begin", "spare", "claim", "expire"]), st.integers(0, 30)))


@given(ACTIONS)
def test_a_token_is_claimed_at_most_once_and_in_time(actions: list[tuple[str, int]]) -> None:
    session, made, now = home("ssh"), list[tuple[str, float]](), 0.0
    claimed: set[str] = set()
    for action, number in actions:
        now += number / 10
        if action == "begin":
            made.append((session.begin(SSH, now).token, now))
        elif action == "spare":
            made.append((session.spare(now).token, now))
        elif action == "expire":
            session.expire(now)
        elif made:
            token, born = made[number % len(made)]
            good = token not in claimed and now <= born + TOKEN_LIFETIME
            with contextlib.nullcontext() if good else pytest.raises(Refusal):
                session.claim(token, now)
            claimed.add(token)
