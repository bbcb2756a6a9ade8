"""Keeps a script loaded when an edit breaks it, or its file is gone: mitmproxy would continue without its policies.

The new version is executed while the old one is still loaded, and replaces it only on success. If it fails later, in a
`load`, `configure` or `running` hook, the old one is loaded again.
"""

import asyncio
import contextlib
import importlib.util
import logging
import traceback
import types
from collections.abc import Callable, Coroutine, Iterator
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from mitmproxy import ctx, hooks
from mitmproxy.addonmanager import safecall, traverse
from mitmproxy.addons.script import ReloadInterval, Script

from proxy_policies.background.tasks import spawn
from proxy_policies.patch import Companion, Patch

logger = logging.getLogger(__name__)

type ScriptState = tuple[int, int]
"""When the file was last changed, in nanoseconds, and its size."""

_outgoing: list[object] = []
"""The addons of the script whose new version is being executed."""


def is_being_replaced(addon: object) -> bool:
    """Return whether a loaded addon is about to be replaced by those being created."""
    return any(one is addon for one in _outgoing)


class _Version(SourceFileLoader):
    """A script's source at one point in time. Raises OSError or SyntaxError if it cannot be read."""

    def __init__(self, path: str) -> None:
        super().__init__(f"__mitmproxy_script__.{Path(path).stem}", path)
        self._code = self.source_to_code(self.get_data(path), path)

    def get_code(self, fullname: str) -> types.CodeType:
        """Return the code as it was then; the file may have changed since."""
        return self._code

    def executed(self) -> types.ModuleType:
        """Execute it and return the module, with new addons. Raise any exception of the script."""
        module = importlib.util.module_from_spec(ModuleSpec(self.name, self, origin=self.path))
        self.exec_module(module)
        if not getattr(module, "name", None):
            vars(module)["name"] = self.path
        return module


_loaded: WeakKeyDictionary[Script, _Version] = WeakKeyDictionary()
"""The last version of each script that could be loaded."""


_watched: WeakSet[Script] = WeakSet()
"""The scripts whose files we watch in place of mitmproxy."""


def note_versions() -> None:
    """Note the current version of each script; one that cannot be read is not loaded either."""
    loader = ctx.master.addons.get("scriptloader")
    for script in loader.addons if loader is not None else ():
        if script not in _loaded:
            with contextlib.suppress(OSError, SyntaxError, ValueError):
                _loaded[script] = _Version(script.fullpath)


def watch_loaded_scripts() -> None:
    """Take over the watching of the scripts that are loaded, or being loaded: mitmproxy's watcher loads the others."""
    loader = ctx.master.addons.get("scriptloader")
    for script in loader.addons if loader is not None else ():
        is_loading = script.reloadtask is asyncio.current_task()
        if script.reloadtask is not None and script not in _watched and (script.ns is not None or is_loading):
            _watched.add(script)
            script.reloadtask.cancel()
            failure = f"{script.path}: its changes are no longer noticed"
            script.reloadtask = spawn(_follow(script, _state_of(script)), is_held=True, failure=failure)


def _watching(original: Callable[[Script], Coroutine[None, None, None]]) -> Callable[[Script], Any]:
    async def watcher(script: Script) -> None:
        await asyncio.sleep(0)  # mitmproxy first finishes what creates it
        _watched.add(script)
        state = _state_of(script)
        script.loadscript()
        await _follow(script, state)

    return watcher


async def _follow(script: Script, state: ScriptState | None) -> None:
    """Load a script again whenever its file was written or touched. While it is gone, as during an upgrade, wait.

    A change is loaded once the file has stayed the same for a second: it could be half written.
    """
    before = state
    while True:
        await asyncio.sleep(ReloadInterval)
        now = _state_of(script)
        if now is None and before is not None:
            logger.warning(f"script {script.path} is gone; it stays in use")
        if now is not None and now == before != state:
            state = now
            script.loadscript()
        before = now


def _state_of(script: Script) -> ScriptState | None:
    """Return the state of a script's file; None if there is none."""
    try:
        found = Path(script.fullpath).stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _keeping_the_last_version(original: Callable[[Script], None]) -> Callable[[Script], None]:
    def loadscript(script: Script) -> None:
        if script.ns is None:
            original(script)
            _loaded.pop(script, None)
            note_versions()
            watch_loaded_scripts()
        else:
            logger.info(f"Loading script {script.path}")
            _load_again(script)

    return loadscript


def _load_again(script: Script) -> None:
    before = script.ns
    try:
        version = _Version(script.fullpath)
        _exchange(script, version)
    except (Exception, SystemExit) as error:
        logger.error(f"{_described(error, script.fullpath)}; the version before the edit stays in use")
        if script.ns is not before:
            _load_last(script)
    else:
        _loaded[script] = version


def _load_last(script: Script) -> None:
    try:
        _exchange(script, _loaded[script])
    except Exception:
        logger.exception(f"{script.path} cannot be loaded in its previous version either")


@contextlib.contextmanager
def _being_replaced(module: types.ModuleType | None) -> Iterator[None]:
    _outgoing.extend(traverse([module]))
    try:
        yield
    finally:
        _outgoing.clear()


def _exchange(script: Script, version: _Version) -> None:
    """Load a version in place of the loaded one. Raise any exception of its code or its hooks.

    If the code fails, the script is unchanged. If a hook fails, the new version is partly loaded.
    """
    before, manager = script.ns, ctx.master.addons
    with _being_replaced(before):
        after = version.executed()
    if before is not None:
        _unload(before)
    script.ns = after
    manager.register(after)
    manager.invoke_addon_sync(after, hooks.ConfigureHook(set(ctx.options.keys())))
    if script.is_running:
        manager.invoke_addon_sync(after, hooks.RunningHook())


def _unload(module: types.ModuleType) -> None:
    manager = ctx.master.addons
    with safecall():
        if module in manager:
            manager.remove(module)
        else:  # its `load` failed
            manager.invoke_addon_sync(module, hooks.DoneHook())


def _described(error: BaseException, path: str) -> str:
    """Return a line that says what is wrong in a script, with the line number if known."""
    frames = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    line = error.lineno if isinstance(error, SyntaxError) else next(reversed(frames), None)
    place = f"{path}, line {line}" if line else path
    return f"error in script {place}: {type(error).__name__}: {' '.join(str(error).split())}"


PATCH = Patch(
    owner=Script,
    attribute="loadscript",
    wrap=_keeping_the_last_version,
    seen_on="12.2.1 to 12.3.1",
    why="a script that an edit breaks is unloaded, and the proxy continues without its policies",
    upstream="not reported: run `mitmdump -s x.py`, put a syntax error into x.py: its hooks are no longer called",
    remove_when="`Script.loadscript` keeps the old module until the new one is loaded",
    test="tests/e2e/start_up/test_reload.py::test_a_broken_edit_changes_nothing",
    source_sha256={"12.2.1 to 12.3.1": "f2972abb206ff2fea8eb0a8710bcbb559a5c662a57d6aa8555c3c8ea83a098ea"},
    companions=(
        Companion(
            owner=Script,
            attribute="watcher",
            wrap=_watching,
            seen_on="12.2.1 to 12.3.1",
            why="the same when its file is gone for a moment, as during an upgrade, or is half written",
            test="tests/e2e/start_up/test_reload.py::test_a_script_whose_file_is_gone_stays_loaded",
            source_sha256={"12.2.1 to 12.3.1": "37677473a830343884c24a9f81b3c459366e2ef1651d687ddeb3585146bea497"},
        ),
    ),
)
