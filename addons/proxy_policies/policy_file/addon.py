"""`policy_file`: options in a YAML file, applied at start and whenever the file changes.

The command line takes precedence over the file, and the file over config.yaml. If a value is invalid, none is applied.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from mitmproxy import ctx, exceptions

from proxy_policies import settings
from proxy_policies.background.tasks import spawn
from proxy_policies.lazy_imports import lazy_imports
from proxy_policies.options import command_line
from proxy_policies.options.files import parse_path
from proxy_policies.options.updates import set_specs
from proxy_policies.settings import Setting, settings_of
from proxy_policies.start_up.starting import is_starting

with lazy_imports():
    from proxy_policies.policy_file import addon_errors, coercion, document, overlay, watch

logger = logging.getLogger(__name__)

POLL_INTERVAL = 0.25
"""Seconds between two reads of the file."""


class PolicyFile:
    """Keeps mitmproxy's options in accordance with the file."""

    name = "policy_file"
    policy_file = Setting("", parse_path, "YAML file of options, applied at start and whenever it changes.")

    def __init__(self) -> None:
        self._path: Path | None = None
        self._before: Mapping[str, Any] = {}
        self._entries: Mapping[str, document.FileOption] = {}
        self._task: asyncio.Task[None] | None = None
        """Follows the file, if there is one, from `running` on."""
        self._is_running = False

    @cached_property
    def _watch(self) -> watch.Watch:
        return watch.Watch("")

    @cached_property
    def _explicit(self) -> command_line.ExplicitOptions:
        return command_line.explicit_options()

    def configure(self, updated: set[str]) -> None:
        """Apply the chosen file; reject the option if the file cannot be applied."""
        if "policy_file" in updated and self.policy_file != self._path:
            try:
                self._load(self.policy_file)
            except ValueError as error:
                settings.reject(f"policy_file {self.policy_file}: {error}")
            if self._is_running:
                self._follow_file()

    def running(self) -> None:
        """Apply the options of scripts loaded after this one, and start watching the file."""
        if self._path:
            self._apply_for_all(self._path)
        self._is_running = True
        self._follow_file()

    def _follow_file(self) -> None:
        self._stop_following()
        if self._path:
            self._task = spawn(self._follow(self._path))

    def _stop_following(self) -> None:
        if self._task:
            self._task.cancel()
            self._task = None

    def done(self) -> None:
        """Stop watching, and restore the options, unless mitmproxy is ending."""
        self._stop_following()
        if self._before and not ctx.master.should_exit.is_set():
            self._before = {name: value for name, value in self._before.items() if name in ctx.options}
            self._set(overlay.plan(_current(), self._before, {}), [])

    def _apply_for_all(self, path: Path) -> None:
        try:
            self._apply(self._entries)
        except ValueError as error:
            settings.reject(f"policy_file {path}: {error}")

    def _load(self, path: Path | None) -> None:
        state = watch.read_state(path) if path else ""
        entries = entries_of(state)
        if starting := is_starting():
            self._reapply_command_line(entries)
        self._apply(entries, skip_unknown=starting)
        self._path, self._watch = path, watch.Watch(state)

    def _reapply_command_line(self, names: Collection[str]) -> None:
        """Set the file's options that are also on the command line from there, not from config.yaml."""
        try:
            set_specs(ctx.options, self._explicit.specs_of([name for name in names if name in ctx.options]))
        except exceptions.OptionsError as error:
            raise ValueError(f"command line: {error}") from error

    def _apply(self, file: Mapping[str, document.FileOption], skip_unknown: bool = False) -> overlay.Plan:
        """Apply all entries of the file; on ValueError, nothing is changed.

        `skip_unknown` ignores options not declared yet, those of scripts that are loaded later.
        """
        entries = [entry for name, entry in file.items() if name not in self._explicit.names]
        known = [entry for entry in entries if not skip_unknown or entry.name in ctx.options]
        planned = overlay.plan(_current(), self._before, coercion.coerce_all(known, ctx.options, _our_settings()))
        self._set(planned, known)
        self._before, self._entries = planned.before, file
        return planned

    def _set(self, planned: overlay.Plan, entries: Sequence[document.FileOption]) -> None:
        try:
            with ctx.options.rollback(set(planned.updates), reraise=True), addon_errors.raised_as_options_error():
                ctx.options.update(**planned.updates)
        except exceptions.OptionsError as error:
            raise ValueError(_locate(str(error), entries, planned.updates)) from error

    async def _follow(self, path: Path) -> None:
        while True:
            await asyncio.sleep(POLL_INTERVAL)
            await self.poll(path)

    def read_again(self) -> None:
        """Read and apply the file now, even if unchanged: the files that it names may have changed."""
        if self._path is None:
            return
        self._watch = watch.Watch(watch.read_state(self._path))
        try:
            planned = self._apply(entries_of(self._watch.state))
        except ValueError as error:
            logger.error(f"policy_file {self._path}: {error}; nothing was applied, keeping the previous options")
        else:
            logger.info(f"policy_file {self._path}: read again; {self._summary(planned)}")

    async def poll(self, path: Path) -> None:
        """Apply the file if it has changed and is stable, or log why that fails; it is read in a thread."""
        gone = isinstance(self._watch.state, watch.Unreadable)
        state = await asyncio.to_thread(watch.read_state, path)
        if path != self._path:
            return  # another file was chosen meanwhile
        if not self._watch.is_stable_change(state):
            return
        if isinstance(state, watch.Unreadable):
            logger.warning(
                f"policy_file {path}: {state.reason}; keeping the previous options until the file is readable again"
            )
            return
        try:
            planned = self._apply(await asyncio.to_thread(document.read, state))
        except ValueError as error:
            logger.error(f"policy_file {path}: {error}; nothing was applied, keeping the previous options")
        else:
            logger.info(f"policy_file {path}: {'back' if gone else 'changed'}; {self._summary(planned)}")

    def _summary(self, planned: overlay.Plan) -> str:
        applied = planned.updates.keys() - planned.returned
        parts = {
            "set": applied,
            "restored": planned.returned,
            "set by the command line": self._entries.keys() & self._explicit.names,
        }
        texts = [f"{label}: {', '.join(sorted(names))}" for label, names in parts.items() if names]
        return "; ".join(texts) or "no option changes"


def entries_of(state: watch.FileState) -> dict[str, document.FileOption]:
    """Return the file's entries by option name. Raise ValueError."""
    if isinstance(state, watch.Unreadable):
        raise ValueError(state.reason)
    return document.read(state)


def _current() -> dict[str, Any]:
    return {name: option.current() for name, option in ctx.options.items()}


def _our_settings() -> dict[str, Setting[Any]]:
    return {setting.name: setting for addon in ctx.master.addons.lookup.values() for setting in settings_of(addon)}


def _locate(reason: str, entries: Sequence[document.FileOption], updates: Collection[str]) -> str:
    """Return the error with the lines that may have caused it: of options that it names, else of all changes."""
    changing = [entry for entry in entries if entry.name in updates]
    suspects = [entry for entry in changing if entry.name in reason] or changing
    if len(suspects) == 1:
        return f"line {suspects[0].line}, option {suspects[0].name}: {reason}"
    return f"lines {', '.join(str(entry.line) for entry in suspects)}: {reason}"
