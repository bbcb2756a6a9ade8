"""How mitmproxy is changed: one attribute replaced, and put back when the addons go.

A `Patch` has a passport, which says what goes wrong without it, where it was reported, and when it may go. A test holds
each one to it: the source that it replaces is one that was read, and without it the test it names fails.
"""

from __future__ import annotations

import hashlib
import inspect
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Replacement:
    """One function, class or module of mitmproxy, replaced by what `wrap` makes of it."""

    owner: Any
    """The class or module that has it."""
    attribute: str
    wrap: Callable[[Any], Any]
    why: str
    """What goes wrong, or is slow, without it."""
    seen_on: str
    """The mitmproxy versions on which that was seen, and the cure tried."""

    @property
    def place(self) -> str:
        """Name what is replaced, for messages."""
        return f"{getattr(self.owner, '__qualname__', self.owner.__name__)}.{self.attribute}"

    def apply(self) -> Callable[[], None] | None:
        """Put it in place and return the function that takes it out; None when mitmproxy lacks the place."""
        original = getattr(self.owner, self.attribute, None)
        if original is None:
            logger.warning(f"this mitmproxy has no {self.place} (changed on {self.seen_on}): {self.why}")
            return None
        inherited = self.attribute not in vars(self.owner)
        replacement = self.wrap(original)
        setattr(self.owner, self.attribute, replacement)

        def undo() -> None:
            # Somebody who wrapped ours in turn keeps the last word.
            if getattr(self.owner, self.attribute) is not replacement:
                return
            if inherited:
                delattr(self.owner, self.attribute)
            else:
                setattr(self.owner, self.attribute, original)

        return undo


class Kind(StrEnum):
    """Why mitmproxy is changed."""

    BUG = "bug"
    """It does what it should not, or not what it should."""
    SEAM = "seam"
    """A feature of ours needs a place where mitmproxy asks nobody."""


@dataclass(frozen=True, kw_only=True)
class Section:
    """One of several things that a class in mitmproxy's place does otherwise, with a passport of its own."""

    mixin: type
    """The class that does it."""
    why: str
    """What goes wrong without it."""
    upstream: str
    """The issue's URL; where there is none, "not reported" and a reproduction short enough to report."""
    remove_when: str
    """What mitmproxy must do, or offer, for it to go."""
    test: str
    """The pytest node that fails without it."""


@dataclass(frozen=True, kw_only=True)
class Companion(Replacement):
    """Another place that is replaced for the same bug."""

    test: str
    """As a section's."""
    source_sha256: Mapping[str, str]
    """As a patch's."""


@dataclass(frozen=True, kw_only=True)
class Patch(Replacement):
    """A replacement with a passport; where it has sections or companions, theirs say more."""

    kind: Kind = Kind.BUG
    upstream: str
    """As a section's."""
    remove_when: str
    """As a section's."""
    test: str
    """As a section's."""
    sections: tuple[Section, ...] = ()
    companions: tuple[Companion, ...] = ()
    source_sha256: Mapping[str, str]
    """Of the source that is replaced, by the mitmproxy version in which it was read."""
    replaced: tuple[Any, ...] = ()
    """The functions and classes whose source that is, where it is not the attribute itself."""

    def apply(self) -> Callable[[], None] | None:
        """Put it in place with its companions, and return the function that takes them out again."""
        undos = [undo for undo in (super().apply(), *(one.apply() for one in self.companions)) if undo]

        def undo() -> None:
            for one in reversed(undos):
                one()

        return undo if undos else None


def source_sha256(*replaced: Any) -> str:
    """Return the hash of the source of functions, or of classes and their ancestors in the same package."""
    sources = [source for each in replaced for source in _sources(each)]
    return hashlib.sha256("".join(sources).encode()).hexdigest()


def _sources(replaced: Any) -> list[str]:
    if not inspect.isclass(replaced):
        return [inspect.getsource(replaced)]
    package = replaced.__module__.partition(".")[0]
    return [inspect.getsource(kind) for kind in replaced.__mro__ if kind.__module__.partition(".")[0] == package]
