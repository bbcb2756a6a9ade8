"""Changes mitmproxy by replacing one attribute, which is restored when the addons are unloaded.

A `Patch` has a passport, which says what goes wrong without it, where that was reported, and when it can be removed.
Tests check that the source it replaces is a version that was read, and that the test it names fails without it.
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
    """One function, class or module of mitmproxy, replaced by the result of `wrap`."""

    owner: Any
    """The class or module that has the attribute."""
    attribute: str
    wrap: Callable[[Any], Any]
    why: str
    """What goes wrong, or is slow, without the replacement."""
    seen_on: str
    """The mitmproxy versions on which this was observed and the replacement tested."""

    @property
    def place(self) -> str:
        """The name of the attribute, for messages."""
        return f"{getattr(self.owner, '__qualname__', self.owner.__name__)}.{self.attribute}"

    def apply(self) -> Callable[[], None] | None:
        """Replace the attribute and return the function that restores it; None if mitmproxy lacks it."""
        original = getattr(self.owner, self.attribute, None)
        if original is None:
            logger.warning(f"this mitmproxy has no {self.place} (changed on {self.seen_on}): {self.why}")
            return None
        inherited = self.attribute not in vars(self.owner)
        replacement = self.wrap(original)
        setattr(self.owner, self.attribute, replacement)

        def undo() -> None:
            # If another addon has wrapped our replacement, leave it in place.
            if getattr(self.owner, self.attribute) is not replacement:
                return
            if inherited:
                delattr(self.owner, self.attribute)
            else:
                setattr(self.owner, self.attribute, original)

        return undo


class PatchKind(StrEnum):
    """Why mitmproxy is changed."""

    BUG = "bug"
    """mitmproxy behaves incorrectly."""
    SEAM = "seam"
    """One of our features needs a place to hook in where mitmproxy has none."""


@dataclass(frozen=True, kw_only=True)
class Section:
    """One of several changes in a class that replaces mitmproxy's, with its own passport."""

    mixin: type
    """The class with the change."""
    why: str
    """What goes wrong without the change."""
    upstream: str
    """The issue's URL; if there is none, "not reported" and a reproduction short enough to report."""
    remove_when: str
    """What mitmproxy must do, or offer, so that it can be removed."""
    test: str
    """The pytest node that fails without the change."""


@dataclass(frozen=True, kw_only=True)
class Companion(Replacement):
    """Another attribute that is replaced for the same bug."""

    test: str
    """As a section's."""
    source_sha256: Mapping[str, str]
    """As a patch's."""


@dataclass(frozen=True, kw_only=True)
class Patch(Replacement):
    """A replacement with a passport; those of its sections and companions say more."""

    kind: PatchKind = PatchKind.BUG
    upstream: str
    """As a section's."""
    remove_when: str
    """As a section's."""
    test: str
    """As a section's."""
    sections: tuple[Section, ...] = ()
    companions: tuple[Companion, ...] = ()
    source_sha256: Mapping[str, str]
    """Hashes of the replaced source, by the mitmproxy version in which it was read."""
    replaced: tuple[Any, ...] = ()
    """The functions and classes with that source, if not the attribute itself."""

    def apply(self) -> Callable[[], None] | None:
        """Apply the patch and its companions, and return the function that undoes both."""
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
