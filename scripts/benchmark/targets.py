"""The targets: stock mitmdump, this proxy with several options, and other programs if installed."""

from __future__ import annotations

import shutil
import string
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BIN = Path(sys.executable).parent
PEERS = ROOT / ".venv" / "peers" / "bin"
VARNISH = "-F -f {config} -a 127.0.0.1:{port} -n {folder} -s malloc,256m"
PROXY_PY = "-m proxy --hostname 127.0.0.1 --port {port} --num-workers 1 --num-acceptors 1 --log-level ERROR"

Command = Callable[[Path, int, int], list[str]]
"""Returns a command line, for its own folder, the port to listen on and the origin's port."""


@dataclass(frozen=True)
class Target:
    """A program that relays, with a command for each role it supports (`reverse`, `forward`, `tunnel` …)."""

    name: str
    commands: dict[str, Command]
    is_peer: bool = False
    does_cache: bool = False
    does_inspect: bool = False


def _mitmdump(*arguments: str, script: bool = True) -> dict[str, Command]:
    def base(folder: Path, port: int) -> list[str]:
        return [
            str(BIN / "mitmdump"),
            "--set",
            f"confdir={folder}",
            "--listen-host",
            "127.0.0.1",
            "-p",
            str(port),
            *(("-s", str(ROOT / "addons" / "policy.py")) if script else ()),
            *arguments,
        ]

    untouched = () if script else ("--ignore-hosts", ".*")
    inspect = ("--set", "inspect_hosts=*") if script else ()
    return {
        "reverse": lambda folder, port, origin: [*base(folder, port), "--mode", f"reverse:http://127.0.0.1:{origin}"],
        "forward": lambda folder, port, origin: base(folder, port),
        "tunnel": lambda folder, port, origin: [*base(folder, port), *untouched],
        "inspect": lambda folder, port, origin: [*base(folder, port), "--set", "ssl_insecure=true", *inspect],
    }


def _configured(program: str, template: str, *arguments: str) -> Command:
    """Start a peer with its configuration filled in; `{config}` and `{folder}` in the arguments are replaced."""

    def command(folder: Path, port: int, origin: int) -> list[str]:
        text = string.Template((HERE / "peers" / template).read_text())
        config = folder / template
        config.write_text(text.substitute(port=port, origin=origin, folder=folder))
        folder.chmod(0o777)  # several of them switch to their own user
        return [
            program,
            *(argument.format(config=config, folder=folder, port=port, origin=origin) for argument in arguments),
        ]

    return command


def _python(module: str, *arguments: str) -> Command:
    def command(folder: Path, port: int, origin: int) -> list[str]:
        return [str(PEERS / "python"), *(a.format(port=port, origin=origin, here=HERE) for a in (module, *arguments))]

    return command


def ours() -> list[Target]:
    """Return stock mitmdump and this proxy with several options; `ours` has the defaults."""
    variants = {
        "ours": (),
        "ours, fast_lane=off": ("--set", "fast_lane=off"),
        "ours, cache=off": ("--set", "cache=off"),
        "ours, encode=off": ("--set", "encode=off"),
    }
    stock = Target("stock", _mitmdump(script=False), does_inspect=True)
    return [stock] + [
        Target(name, _mitmdump(*arguments), does_cache=True, does_inspect=True) for name, arguments in variants.items()
    ]


def ours_with(name: str, options: Iterable[str]) -> Target:
    """Return this proxy with options, each as `NAME=VALUE`."""
    return Target(name, _mitmdump(*(part for option in options for part in ("--set", option))), does_cache=True)


def reverse_tunnels() -> list[Target]:
    """Return our reverse tunnel, `ssh -R`, and socat as a plain relay, whose speed is about the limit."""

    def ends(kind: str) -> dict[str, Command]:
        script = str(HERE / "peers" / "reverse_tunnel.py")
        return {"splice": lambda folder, port, origin: [sys.executable, script, kind, str(port), str(origin)]}

    def socat(folder: Path, port: int, origin: int) -> list[str]:
        return ["socat", f"TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr,fork", f"TCP:127.0.0.1:{origin}"]

    found = [Target("home/work, TLS", ends("certificates")), Target("home/work, plain", ends("none"))]
    found += [Target("ssh -R", ends("ssh"), is_peer=True)] if shutil.which("ssh") else []
    return found + ([Target("socat", {"splice": socat}, is_peer=True)] if shutil.which("socat") else [])


def peers() -> list[Target]:
    """Return the other programs that are installed."""
    found: list[Target] = []

    def add(name: str, program: str | Path, *, does_cache: bool = False, **commands: Command) -> None:
        if shutil.which(str(program)):
            found.append(Target(name, commands, is_peer=True, does_cache=does_cache))

    nginx = _configured("nginx", "nginx.conf", "-c", "{config}", "-p", "{folder}")
    add("nginx", "nginx", does_cache=True, reverse=nginx)
    squid = {
        role: _configured("squid", f"squid-{role}.conf", "-N", "-f", "{config}") for role in ("forward", "reverse")
    }
    add("Squid", "squid", does_cache=True, tunnel=squid["forward"], **squid)
    haproxy = {role: _configured("haproxy", f"haproxy-{role}.cfg", "-f", "{config}") for role in ("reverse", "splice")}
    add("HAProxy", "haproxy", does_cache=True, reverse=haproxy["reverse"], splice=haproxy["splice"])
    varnish = _configured("varnishd", "varnish.vcl", *VARNISH.split())
    add("Varnish", "varnishd", does_cache=True, reverse=varnish)
    tinyproxy = _configured("tinyproxy", "tinyproxy.conf", "-d", "-c", "{config}")
    add("tinyproxy", "tinyproxy", forward=tinyproxy, tunnel=tinyproxy)
    proxy_py = _python(*PROXY_PY.split())
    add("proxy.py", PEERS / "proxy", forward=proxy_py, tunnel=proxy_py)
    twisted: dict[str, Any] = {
        role: _python("{here}/peers/twisted_proxy.py", role, "{port}", "{origin}") for role in ("reverse", "forward")
    }
    add("twisted", PEERS / "twist", **twisted)
    return found
