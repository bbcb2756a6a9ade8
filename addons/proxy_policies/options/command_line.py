"""The options that were set on the command line.

mitmproxy reads config.yaml after `--set` and lets it override that; so the command line is parsed again, with
mitmproxy's own parser.
"""

import argparse
import contextlib
import io
import sys
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass

from mitmproxy import ctx
from mitmproxy.optmanager import OptManager
from mitmproxy.tools import cmdline

PARSERS: dict[str, Callable[[OptManager], argparse.ArgumentParser]] = {
    "DumpMaster": cmdline.mitmdump,
    "WebMaster": cmdline.mitmweb,
    "ConsoleMaster": cmdline.mitmproxy,
}
"""By the class of mitmproxy's master; the command lines of other programs are ignored."""
VERBOSITY = ("termlog_verbosity", "flow_detail")
FILTERS = ("dumper_filter", "save_stream_filter", "readfile_filter")


@dataclass(frozen=True, slots=True)
class ExplicitOptions:
    """The options set on a command line, the text of each `--set`, and the words of the flow filter."""

    names: frozenset[str] = frozenset()
    specs: tuple[str, ...] = ()
    flow_filter: tuple[str, ...] = ()

    def specs_of(self, names: Container[str]) -> list[str]:
        """Return the `--set` specs for some options, in order."""
        return [spec for spec in self.specs if spec.partition("=")[0] in names]

    def values_of(self, name: str) -> list[str] | None:
        """Return the values of all `--set` of an option, in order; None if there are none."""
        specs = self.specs_of([name])
        return [spec.partition("=")[2] for spec in specs if "=" in spec] if specs else None


def explicit_options() -> ExplicitOptions:
    """Return the options set on the command line of this process."""
    return parse_command_line(type(ctx.master).__name__, sys.argv[1:], ctx.options)


def parse_command_line(program: str, arguments: Sequence[str], options: OptManager) -> ExplicitOptions:
    """Return the options in the arguments of a program, given by its master's class; none for unknown programs."""
    make_parser = PARSERS.get(program)
    if make_parser is None:
        return ExplicitOptions()
    with contextlib.suppress(SystemExit), contextlib.redirect_stderr(io.StringIO()):
        return _explicit(make_parser(options).parse_known_args(list(arguments))[0], options)
    return ExplicitOptions()


def _explicit(parsed: argparse.Namespace, options: OptManager) -> ExplicitOptions:
    given = {name for name, value in vars(parsed).items() if value not in (None, False, [])}
    names = {name for name, value in vars(parsed).items() if name in options and value is not None}
    names |= {spec.partition("=")[0] for spec in parsed.setoptions}
    names |= set(VERBOSITY) if given & {"verbose", "quiet", "options", "commands"} else set()
    names |= set(FILTERS) if "filter_args" in given else set()
    return ExplicitOptions(frozenset(names), tuple(parsed.setoptions), tuple(getattr(parsed, "filter_args", ())))
