"""Ends a start that went wrong, before anything listens that would not have its policies; once for all scripts."""

import asyncio
import logging
import sys

from mitmproxy import ctx
from mitmproxy.addonmanager import Loader

from proxy_policies import cli_options, settings
from proxy_policies.start_up import mitmproxy_program, requirements, stray_word
from proxy_policies.start_up.unknown_options import Verdict, complaint, judge

logger = logging.getLogger(__name__)
SERVERS = logging.getLogger("mitmproxy.proxy.mode_servers")
"""Which says what listens where."""


class StartCheck:
    """Checks when every script of the command line is loaded: they are loaded one right after the other."""

    name = "start_check"

    def load(self, loader: Loader) -> None:
        """Warn of a mitmproxy that was never tried; check once the other scripts are loaded, too."""
        if line := requirements.untried():
            logger.warning(line)
        if settings.is_starting():
            SERVERS.addFilter(hold_back)
            had_errors = bool(settings.start_errors())
            asyncio.get_running_loop().call_soon(check, had_errors)

    def done(self) -> None:
        """Let everything be said again."""
        SERVERS.removeFilter(hold_back)


_held: list[logging.LogRecord] = []


def hold_back(record: logging.LogRecord) -> bool:
    """Return whether mitmproxy may say this before it is checked: errors, but not yet that it listens."""
    if record.levelno <= logging.INFO:
        _held.append(record)
    return record.levelno > logging.INFO


def say_what_was_held_back() -> None:
    """Let everything be said again, and what was held back first."""
    SERVERS.removeFilter(hold_back)
    for record in _held:
        SERVERS.handle(record)
    _held.clear()


def check(had_errors: bool = False) -> None:
    """Log options that no addon has, and a stray word; end the process if that, or anything before, was an error.

    `had_errors` is whether something was wrong before our first script was loaded, after which more was said.
    """
    said, known = (
        cli_options.parse_command_line(type(ctx.master).__name__, sys.argv[1:], ctx.options),
        ctx.options.keys(),
    )
    levels = {Verdict.REFUSED: logging.ERROR, Verdict.WARNED: logging.WARNING, Verdict.IGNORED: logging.DEBUG}
    for name in [name for name in ctx.options.deferred if name not in known]:
        logger.log(levels[judge(name, known, name in said.names)], complaint(name, known))
    if mitmproxy_program.is_ours() and (line := stray_word.complaint(said.flow_filter)):
        logger.error(line)
    if errors := settings.start_errors():
        end(errors, had_errors)
    say_what_was_held_back()


def end(errors: list[str], say_again: bool = False) -> None:
    """End the process; the console has shown nothing yet."""
    watch = ctx.master.addons.get("errorcheck")
    sys.exit("\n".join(errors) if watch.repeat_errors_on_stderr or say_again else 1)
