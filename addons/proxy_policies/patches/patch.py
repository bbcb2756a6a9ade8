"""How a bug in mitmproxy is mended: one attribute wrapped, and put back when the addons go."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Patch:
    """One function, class or module of mitmproxy, replaced by what `wrap` makes of it."""

    owner: Any
    """The class or module that has the function."""
    attribute: str
    wrap: Callable[[Any], Any]
    versions: str
    """The mitmproxy versions on which the bug was seen and the cure tried."""
    why: str
    """What goes wrong without it."""
    issue: str = ""
    """The upstream issue, where there is one: `mitmproxy#2229`."""

    @property
    def place(self) -> str:
        """Name the function, for messages."""
        return f"{getattr(self.owner, '__qualname__', self.owner.__name__)}.{self.attribute}"

    def apply(self) -> Callable[[], None] | None:
        """Put the cure in place and give the function that takes it out; None when mitmproxy lacks the place."""
        original = getattr(self.owner, self.attribute, None)
        if original is None:
            logger.warning(f"this mitmproxy has no {self.place} (mended on {self.versions}): {self.why}")
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
