"""Ends a start with errors before mitmproxy listens without its policies; runs once for all scripts."""

import asyncio
import logging
import sys

from mitmproxy import ctx
from mitmproxy.addonmanager import Loader

from proxy_policies.options import command_line
from proxy_policies.start_up import mitmproxy_program, requirements, starting
from proxy_policies.start_up.unknown_arguments import Severity, judge, stray_word, unknown_option

logger = logging.getLogger(__name__)
SERVERS = logging.getLogger("mitmproxy.proxy.mode_servers")
"""Logs the listening addresses."""


class StartCheck:
    """Runs the check once all scripts on the command line are loaded, which happens without returning to the loop."""

    name = "start_check"

    def load(self, loader: Loader) -> None:
        """Warn of an untested mitmproxy, and schedule the check."""
        if line := requirements.untested():
            logger.warning(line)
        if starting.is_starting():
            SERVERS.addFilter(defer)
            had_errors = bool(starting.start_errors())
            asyncio.get_running_loop().call_soon(check, had_errors)

    def done(self) -> None:
        """Stop deferring log lines."""
        SERVERS.removeFilter(defer)


_deferred: list[logging.LogRecord] = []


def defer(record: logging.LogRecord) -> bool:
    """Return whether a line is logged before the check: errors are, those on listening addresses are deferred."""
    if record.levelno <= logging.INFO:
        _deferred.append(record)
    return record.levelno > logging.INFO


def log_deferred() -> None:
    """Log the deferred lines, and defer no more."""
    SERVERS.removeFilter(defer)
    for record in _deferred:
        SERVERS.handle(record)
    _deferred.clear()


def check(had_errors: bool = False) -> None:
    """Log options that no addon has, and a stray word; end the process after any error.

    `had_errors` is True if there were errors before our first script was loaded; they are then repeated at the end.
    """
    explicit = command_line.explicit_options()
    known = ctx.options.keys()
    levels = {Severity.REJECTED: logging.ERROR, Severity.WARNED: logging.WARNING, Severity.IGNORED: logging.DEBUG}
    for name in [name for name in ctx.options.deferred if name not in known]:
        logger.log(levels[judge(name, known, name in explicit.names)], unknown_option(name, known))
    if mitmproxy_program.is_ours() and (line := stray_word(explicit.flow_filter)):
        logger.error(line)
    if errors := starting.start_errors():
        end(errors, had_errors)
    log_deferred()


def end(errors: list[str], repeat: bool = False) -> None:
    """End the process; print the errors in the console, which shows nothing before, and if they are to be repeated."""
    watch = ctx.master.addons.get("errorcheck")
    sys.exit("\n".join(errors) if watch.repeat_errors_on_stderr or repeat else 1)
