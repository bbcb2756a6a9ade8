"""`proxy-policies run`, `web`, `console`, `home`, `work`: mitmproxy with our scripts and defaults.

All other arguments are mitmproxy's own.
"""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Sequence

from proxy_policies.certificates import folders
from proxy_policies.lazy_imports import lazy_imports
from proxy_policies.options import mitmproxy_arguments
from proxy_policies.options.files import expand_home
from proxy_policies.script_paths import PROGRAM, scripts
from proxy_policies.start_up import early_hang_up, mitmproxy_program
from proxy_policies.terminal.argument_parser import positive, set_help
from proxy_policies.terminal.standard_output import drop_output_if_closed

with lazy_imports():  # mitmproxy takes half a second
    from mitmproxy.tools import main as mitmproxy

    from proxy_policies.workers import supervisor

EXIT_CODES = {0: "it was stopped", 1: "it could not start; the last line says why"}
PRINTING = frozenset({"--version", "--options", "--commands", "-h", "--help"})
"""Arguments with which mitmproxy prints something and ends."""
COMMON = "All other arguments are {program}'s: --set NAME=VALUE for an option (--options lists them), --mode, -s …\n"
PROXY = """\
It listens on 127.0.0.1 unless --listen-host says otherwise, and signs with the CA of `proxy-policies certs make`, if
there is one, else with mitmproxy's own.
"""
SIGNALS = """\
SIGTERM stops it gently: responses in progress have --grace to finish; a second
one, or Ctrl-C, ends it at once. SIGHUP reads the policy file and certificates again."""


def describe_run(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `run`."""
    _describe(
        parser,
        "mitmdump",
        "Run the proxy, as mitmdump with every policy.",
        (
            "run                                  a forward proxy; HTTPS passes through untouched",
            "run --set inspect_hosts='*.example.com'   … but that of these hosts is opened",
            "run --mode reverse:http://127.0.0.1:9000  a reverse proxy",
            "run --workers 4 --grace 30s          several processes that share the port",
            "run --set policy_file=policies.yaml  options in a file, which is followed",
        ),
    )
    parser.add_argument("--workers", type=positive, metavar="N", help="run N processes that share the port")


def describe_web(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `web`."""
    examples = ("web", "web --set web_open_browser=false --set web_port=8082")
    _describe(parser, "mitmweb", "Run the proxy with mitmweb's pages, on 127.0.0.1:8081.", examples)


def describe_console(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `console`."""
    examples = (
        "console",
        "console --set console_default_contentview=policy   a flow opens at what was decided",
    )
    _describe(parser, "mitmproxy", "Run the proxy in mitmproxy's console.", examples)


def describe_home(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `home`."""
    examples = (
        "home --listen '*:9000' --client 9001=ssh             then: ssh -p 9001 localhost",
        "home --listen '*:9000' --client 9001=ssh@office --set home_allow=office=ssh",
    )
    _describe(parser, "mitmdump", "Run home, to which works and clients connect, without a proxy.", examples, "home")
    _option(
        parser, "--listen", "home_listen", "ADDRESS", "the listener for works: PORT of 127.0.0.1, HOST:PORT or *:PORT"
    )
    _option(parser, "--client", "home_clients", "PORT=SERVICE", "a listener for clients, [HOST:]PORT=SERVICE[@WORK]")


def describe_work(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `work`."""
    examples = (
        "work --home home.example:9000 --service ssh=student00:22",
        "work --home paris@home.example:9000 --service ssh=127.0.0.1:22 --service web=127.0.0.1:80",
    )
    _describe(
        parser, "mitmdump", "Run work, which connects to home and has the services, without a proxy.", examples, "work"
    )
    _option(parser, "--home", "work_home", "ADDRESS", "address of home: HOST:PORT or NAME@HOST:PORT")
    _option(parser, "--service", "work_services", "NAME=ADDRESS", "what to offer, NAME=HOST:PORT; repeat it")


def _describe(
    parser: argparse.ArgumentParser, program: str, what: str, examples: Sequence[str], script: str = "policy"
) -> None:
    where = PROXY if script == "policy" else ""
    description = f"{what}\n\n{COMMON.format(program=program)}\n{where}{SIGNALS}"
    set_help(parser, description, examples, EXIT_CODES)
    parser.usage = f"%(prog)s [options] [{program}'s arguments]"
    _option(
        parser, "--grace", "grace_period", "TIME", "how long responses in progress may take to finish (default: 10s)"
    )
    parser.set_defaults(
        run_command=functools.partial(run, program, script), takes_mitmproxy_arguments=True, workers=None, settings=[]
    )


def _option(parser: argparse.ArgumentParser, flag: str, option: str, metavar: str, help: str) -> None:
    """Add a short way to write `--set option=value`."""
    setting = functools.partial("{}={}".format, option)
    parser.add_argument(flag, dest="settings", action="append", type=setting, metavar=metavar, help=help)


def run(program: str, script: str, given: argparse.Namespace) -> int:
    """Run mitmproxy, or the supervisor of several workers; return the exit code. Raise ValueError or OSError."""
    early_hang_up.note()
    drop_output_if_closed()
    if program == "mitmproxy":
        require_terminal(given.mitmproxy_arguments)
    mitmproxy_arguments.require_flow_files(given.mitmproxy_arguments)
    arguments = arguments_of(script, given.settings, given.mitmproxy_arguments)
    mitmproxy_arguments.require_patterns(arguments)
    mitmproxy_arguments.require_ports(arguments)
    folders.require_confdir(
        expand_home(mitmproxy_arguments.value_of(arguments, "confdir") or folders.mitmproxy_confdir())
    )
    if given.workers:
        return supervisor.main([str(given.workers), *arguments])
    return mitmproxy_program.run(getattr(mitmproxy, program), f"{PROGRAM} {given.subcommand}", arguments)


def require_terminal(arguments: Sequence[str]) -> None:
    """Raise ValueError if the console has no terminal: mitmproxy would end with a traceback."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()) and not PRINTING.intersection(arguments):
        raise ValueError("needs a terminal; run and web do not")


def arguments_of(script: str, settings: Sequence[str], others: Sequence[str]) -> list[str]:
    """Return mitmproxy's arguments: ours first, as later ones take precedence."""
    ours = ["-s", str(scripts()[script])]
    if script != "policy":
        ours.append("-n")
    if not mitmproxy_arguments.value_of(others, "listen_host"):
        ours += ["--listen-host", "127.0.0.1"]
    if not mitmproxy_arguments.value_of(others, "confdir") and (confdir := folders.own_confdir()):
        ours += ["--set", f"confdir={confdir}"]
    for setting in settings:
        ours += ["--set", setting]
    return [*ours, *others]
