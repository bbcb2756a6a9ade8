"""Imports that are postponed until a module is first used: those that only one option needs.

    with lazy_imports():
        from proxy_policies.reverse_tunnel import home

`home` is a module like any other, for type checkers, too; its code runs when one of its attributes is first read. So
import modules in the block, not names, which are read at once. A missing module raises at once; one whose code raises
is run again at the next access, as an import statement would.
"""

import contextlib
import sys
import threading  # noqa: F401 - LazyLoader imports it when used: its import must not be postponed, too
from collections.abc import Iterator, Sequence
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from importlib.util import (  # type: ignore[attr-defined]
    LazyLoader,
    _LazyModule,
)
from types import ModuleType
from typing import Any


@contextlib.contextmanager
def lazy_imports() -> Iterator[None]:
    """Postpone the imports in the block, except of modules already imported."""
    finder = _LazyFinder()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _LazyFinder:
    """Finds modules by the other finders, and has them loaded later."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        others = (finder for finder in sys.meta_path if finder is not self)
        found = (finder.find_spec(name, path, target) for finder in others)
        spec = next(filter(None, found), None)
        if spec is not None and spec.loader is not None:
            spec.loader = LazyLoader(_RetryableLoader(spec.loader))
        return spec


class _RetryableLoader(Loader):
    """Runs a module for LazyLoader, which would treat one that raised as loaded; replaced once it is loaded."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        spec, names = module.__spec__, vars(module)
        assert spec is not None  # noqa: S101
        before = dict(names)
        try:
            self._loader.exec_module(module)
        except BaseException:
            names.clear()
            names.update(before)
            spec.loader_state["is_loading"] = False
            object.__setattr__(module, "__class__", _LazyModule)  # Python before 3.12.3 has already replaced it
            raise
        spec.loader = module.__loader__ = self._loader
