"""Tries an authority out: real clients ask a real mitmdump for https://mitm.it/, which it answers by itself.

No policy and no network has a part in it: what is tried is whether a client that trusts the certificate takes what
mitmproxy signs with the key.
"""

import os
import re
import shutil
import ssl
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

URL = "https://mitm.it/"
START_TIMEOUT = 20  # seconds that a start, or a client, may take

_LISTENING = re.compile(rb"listening at \S*?:(\d+)")
_NODE = """
const [port, host] = process.argv.slice(1);
const http = require("http"), tls = require("tls");
const fail = error => { console.error(error.message); process.exit(1); };
http.request({host: "127.0.0.1", port, method: "CONNECT", path: host + ":443"}).on("error", fail)
  .on("connect", (_, socket) => tls.connect({socket, servername: host}, () => process.exit(0)).on("error", fail)).end();
"""


@contextmanager
def proxy(confdir: Path) -> Iterator[int]:
    """Run a mitmdump that signs with the authority in `confdir`; gives its port, or raises OSError."""
    command = [str(Path(sys.executable).with_name("mitmdump")), "--listen-host", "127.0.0.1", "--listen-port", "0"]
    for option in (f"confdir={confdir}", "connection_strategy=lazy", "upstream_cert=false"):
        command += ["--set", option]
    process = subprocess.Popen(  # noqa: S603 - our own mitmdump
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    late = threading.Timer(START_TIMEOUT, process.kill)
    late.start()
    try:
        yield _port(process.stdout or ())
    finally:
        late.cancel()
        process.terminate()
        process.communicate(timeout=START_TIMEOUT)


def _port(output: Iterable[bytes]) -> int:
    said = b""
    for line in output:
        said += line
        if match := _LISTENING.search(line):
            return int(match[1])
    raise OSError(f"mitmdump did not start: {said.decode(errors='replace').strip()}")


def curl(port: int, certificate: Path) -> str:
    """Ask with curl; gives what it complains about."""
    return _error(
        ["curl", "-sS", "-o", os.devnull, "-x", f"http://127.0.0.1:{port}", "--cacert", str(certificate), URL]
    )


def node(port: int, certificate: Path) -> str:
    """Ask with Node."""
    return _error(["node", "-e", _NODE, str(port), "mitm.it"], NODE_EXTRA_CA_CERTS=str(certificate))


def python(port: int, certificate: Path) -> str:
    """Ask with Python's own urllib and ssl, as strict as they are by default."""
    context = ssl.create_default_context(cafile=str(certificate))
    handlers = (
        urllib.request.ProxyHandler({"https": f"http://127.0.0.1:{port}"}),
        urllib.request.HTTPSHandler(context=context),
    )
    try:
        with urllib.request.build_opener(*handlers).open(URL, timeout=START_TIMEOUT):
            return ""
    except (OSError, urllib.error.URLError) as error:
        return str(error)


CLIENTS: dict[str, Callable[[int, Path], str]] = {"curl": curl, "python": python, "node": node}


def clients() -> dict[str, Callable[[int, Path], str]]:
    """Return the clients that this machine has."""
    return {name: ask for name, ask in CLIENTS.items() if name == "python" or shutil.which(name)}


def _error(command: list[str], **extra: str) -> str:
    kept = {name: value for name, value in os.environ.items() if name.lower() != "no_proxy"}
    done = subprocess.run(  # noqa: S603 - the clients above
        command, env={**kept, **extra}, capture_output=True, timeout=START_TIMEOUT, text=True
    )
    return (done.stderr.strip() or f"exit code {done.returncode}") if done.returncode else ""
