"""Imports that wait until they are needed: what an option brings is imported once that option is set.

    with later():
        from proxy_policies.reverse_tunnel import home

`home` is a module as any other, for type checkers, too; its code runs when something of it is first asked for. So
import modules in the block: names are asked for at once. A module that is not there is missed at once.
"""

import contextlib
import sys
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec
from importlib.util import LazyLoader
from types import ModuleType


@contextlib.contextmanager
def later() -> Iterator[None]:
    """Put off what is imported in the block, unless it is imported already."""
    finder = _Finder()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _Finder:
    """Finds what the finders after it find, to be loaded later."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        others = (finder for finder in sys.meta_path if finder is not self)
        found = (finder.find_spec(name, path, target) for finder in others)
        spec = next(filter(None, found), None)
        if spec is not None and spec.loader is not None:
            spec.loader = LazyLoader(spec.loader)
        return spec
