"""An attribute is replaced, and put back; a mitmproxy that lacks it is put up with."""

import logging
from typing import Any

import pytest
from mitmproxy.proxy.layers import http as layers

from proxy_policies.patch import Replacement, source_sha256


class Base:
    def greet(self) -> str:
        return "hello"


class Owner(Base):
    def leave(self) -> str:
        return "bye"


def louder(original: Any) -> Any:
    return lambda self: f"{original(self)}!"


def replacement(attribute: str, owner: Any = Owner) -> Replacement:
    return Replacement(owner, attribute, louder, why="it is too low", seen_on="12.2")


def applied(attribute: str) -> Any:
    undo = replacement(attribute).apply()
    assert undo is not None
    return undo


@pytest.mark.parametrize("attribute", ["greet", "leave"])
def test_it_is_put_back_as_it_was(attribute: str) -> None:
    """What was inherited is inherited again: a later change of the base class counts."""
    before, value = dict(vars(Owner)), getattr(Owner(), attribute)()
    undo = applied(attribute)
    assert getattr(Owner(), attribute)() == f"{value}!"
    assert getattr(Base(), "greet")() == "hello"  # noqa: B009
    undo()
    assert dict(vars(Owner)) == before


def test_the_last_that_wrapped_it_is_taken_out_first() -> None:
    inner, outer = applied("leave"), applied("leave")
    assert Owner().leave() == "bye!!"
    inner()
    assert Owner().leave() == "bye!!", "somebody who wrapped ours keeps the last word"
    outer()
    assert Owner().leave() == "bye!"
    inner()
    assert Owner().leave() == "bye"


def test_a_place_is_named_as_python_does() -> None:
    assert replacement("leave").place == "Owner.leave"
    assert replacement("HttpStream", layers).place == "mitmproxy.proxy.layers.http.HttpStream"


def test_a_missing_place_is_logged_and_stepped_over(caplog: pytest.LogCaptureFixture) -> None:
    patch = Replacement(layers, "HttpNothing", lambda original: original, why="it hangs", seen_on="12.2")
    with caplog.at_level(logging.WARNING):
        assert patch.apply() is None
    assert "has no mitmproxy.proxy.layers.http.HttpNothing" in caplog.text
    assert "it hangs" in caplog.text


def test_a_hash_is_of_the_source_of_a_class_and_its_ancestors_in_the_package() -> None:
    assert source_sha256(Owner) == source_sha256(Owner) != source_sha256(Base)
    assert source_sha256(Owner, Base) != source_sha256(Base, Owner)
    assert source_sha256(Owner.leave) != source_sha256(Owner.greet)

    class Other(logging.Logger, Owner):
        pass

    assert len({source_sha256(Other), source_sha256(Owner), source_sha256(logging.Logger)}) == 3
