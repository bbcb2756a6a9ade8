"""`policy_file`: options in a YAML file, applied at start and whenever the file changes.

The command line wins over the file, and the file over config.yaml. A file that
cannot be applied whole is not applied at all.
"""

import asyncio
import logging
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from mitmproxy import ctx, exceptions
from mitmproxy.addonmanager import Loader

from proxy_policies import command_line, settings
from proxy_policies.policy_file.document import Entry, read
from proxy_policies.policy_file.fitting import fit_all
from proxy_policies.policy_file.layers import Plan, plan
from proxy_policies.policy_file.watch import Sight, Unreadable, Watch, look
from proxy_policies.settings import Setting, settings_of

logger = logging.getLogger(__name__)

LOOK_EVERY = 0.25
"""Seconds between looks at the file."""


def parse_path(text: str) -> Path | None:
    """Read a path, `~` being the home folder; None when there is none."""
    return Path(text).expanduser() if text else None


class PolicyFile:
    """Keeps mitmproxy's options as the file has them."""

    name = "policy_file"
    policy_file = Setting("", parse_path, "YAML file of options, applied at start and whenever it changes.")

    def __init__(self) -> None:
        self._said = command_line.Said()
        self._path: Path | None = None
        self._watch = Watch("")
        self._before: Mapping[str, Any] = {}
        self._task: asyncio.Task[None] | None = None

    def load(self, loader: Loader) -> None:
        """Learn what the command line said."""
        self._said = command_line.said(type(ctx.master).__name__, sys.argv[1:], ctx.options)

    def configure(self, updated: set[str]) -> None:
        """Take up the file, or another one; refuse what cannot be applied whole."""
        if "policy_file" in updated and self.policy_file != self._path:
            try:
                self._take_up(self.policy_file)
            except ValueError as error:
                settings.refuse(f"policy_file {self.policy_file}: {error}")

    def running(self) -> None:
        """Apply what the file has for scripts that were loaded after us; from now on, watch it."""
        try:
            self._apply(self._watch.sight)
        except ValueError as error:
            settings.refuse(f"policy_file {self._path}: {error}")
        self._task = asyncio.create_task(self._follow())

    def done(self) -> None:
        """Stop watching; put back what the file had changed, unless mitmproxy ends anyway."""
        if self._task:
            self._task.cancel()
        if not ctx.master.should_exit.is_set():
            self._before = {name: value for name, value in self._before.items() if name in ctx.options}
            self._set(plan(_current(), self._before, {}), [])

    def _take_up(self, path: Path | None) -> None:
        sight = look(path) if path else ""
        if starting := settings.is_starting():
            self._restate(_entries(sight))
        self._apply(sight, of_others=not starting)
        self._path, self._watch = path, Watch(sight)

    def _restate(self, names: Collection[str]) -> None:
        """Let the command line win over config.yaml in what the file speaks of."""
        try:
            ctx.options.set(*self._said.specs_of([name for name in names if name in ctx.options]))
        except exceptions.OptionsError as error:
            raise ValueError(f"command line: {error}") from error

    def _apply(self, sight: Sight, of_others: bool = True) -> Plan:
        """Apply the file's text whole; raises ValueError, and changes nothing then.

        Without `of_others`, options that nobody knows yet are left for later.
        """
        entries = [entry for name, entry in _entries(sight).items() if name not in self._said.names]
        known = [entry for entry in entries if of_others or entry.name in ctx.options]
        planned = plan(_current(), self._before, fit_all(known, ctx.options, _our_settings()))
        self._set(planned, known)
        self._before = planned.before
        return planned

    def _set(self, planned: Plan, entries: Sequence[Entry]) -> None:
        try:
            ctx.options.update(**planned.updates)
        except exceptions.OptionsError as error:
            raise ValueError(_blame(str(error), entries, planned.updates)) from error

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY)
            if self._path:
                self.look_again(self._path)

    def look_again(self, path: Path) -> None:
        """Follow the file if it has changed and stands still, or say in one line why not."""
        gone = isinstance(self._watch.sight, Unreadable)
        sight = look(path)
        if not self._watch.settles(sight):
            return
        if isinstance(sight, Unreadable):
            logger.warning(f"policy_file {path}: {sight.reason}; what it said stays in force until it is back")
            return
        try:
            planned = self._apply(sight)
        except ValueError as error:
            logger.error(f"policy_file {path}: {error}; nothing of it applied, the policies stay as they were")
        else:
            logger.info(f"policy_file {path}: {'back' if gone else 'changed'}; {self._summary(planned)}")

    def _summary(self, planned: Plan) -> str:
        applied = planned.updates.keys() - planned.returned
        parts = {
            "set": applied,
            "back to what it was": planned.returned,
            "left as the command line has it": _entries(self._watch.sight).keys() & self._said.names,
        }
        said = [f"{what}: {', '.join(sorted(names))}" for what, names in parts.items() if names]
        return "; ".join(said) or "nothing to do"


def _entries(sight: Sight) -> dict[str, Entry]:
    if isinstance(sight, Unreadable):
        raise ValueError(sight.reason)
    return read(sight)


def _current() -> dict[str, Any]:
    return {name: option.current() for name, option in ctx.options.items()}


def _our_settings() -> dict[str, Setting[Any]]:
    return {setting.name: setting for addon in ctx.master.addons.lookup.values() for setting in settings_of(addon)}


def _blame(reason: str, entries: Sequence[Entry], updates: Collection[str]) -> str:
    """Name the lines that may be at fault: those the reason names, else all that would have changed something."""
    changing = [entry for entry in entries if entry.name in updates]
    suspects = [entry for entry in changing if entry.name in reason] or changing
    if len(suspects) == 1:
        return f"line {suspects[0].line}, option {suspects[0].name}: {reason}"
    return f"lines {', '.join(str(entry.line) for entry in suspects)}: {reason}"
