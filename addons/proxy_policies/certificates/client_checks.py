"""Tests an authority: real clients request https://mitm.it/ from a real mitmdump, which answers it itself.

Neither the network nor policies are involved: the test is whether a client that trusts the certificate accepts what
mitmproxy signs with the key.
"""

import os
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from proxy_policies.certificates.stores import chromium_databases
from proxy_policies.script_paths import scripts

HOST = "mitm.it"
"""The host that mitmproxy answers itself."""
START_TIMEOUT = 60  # seconds for mitmdump's start, and for a client

BROWSER_TIMEOUT = 90  # seconds: the first start creates a profile
_CHROMIUM = (
    "--headless",
    "--no-sandbox",  # it opens one page, from our own proxy
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    "--dump-dom",
)
_LISTENING = re.compile(rb"listening at \S*?:(\d+)")
_NODE = """
const [port, host] = process.argv.slice(1);
const http = require("http"), tls = require("tls");
const fail = error => { console.error(error.message); process.exit(1); };
http.request({host: "127.0.0.1", port, method: "CONNECT", path: host + ":443"}).on("error", fail)
  .on("connect", (_, socket) => tls.connect({socket, servername: host}, () => process.exit(0)).on("error", fail)).end();
"""


@contextmanager
def proxy(confdir: Path, host: str = HOST) -> Iterator[int]:
    """Run a mitmdump that signs with the authority in `confdir`, and answers for `host`; yield its port.

    Raise OSError if it does not start.
    """
    command = [str(Path(sys.executable).with_name("mitmdump")), "--listen-host", "127.0.0.1", "--listen-port", "0"]
    command += ["-s", str(scripts()["headers"])]  # for the bug fixes that every script applies
    for option in (f"confdir={confdir}", f"onboarding_host={host}", "connection_strategy=lazy", "upstream_cert=false"):
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


def host_for(permitted: Sequence[str]) -> str:
    """Return a host that an authority may sign for: below the first domain, or else the first address."""
    domains = [name for name in permitted if "/" not in name]
    if permitted and not domains:
        return permitted[0].partition("/")[0]
    return f"{HOST}.{domains[0]}" if domains else HOST


def curl(port: int, certificate: Path | None, host: str = HOST) -> str:
    """Request with curl; return its error, "" for none. Without a certificate, it uses its own trust store."""
    trusting = ["--cacert", str(certificate)] if certificate else []
    return _error(["curl", "-sS", "-o", os.devnull, "-x", f"http://127.0.0.1:{port}", *trusting, f"https://{host}/"])


def node(port: int, certificate: Path | None, host: str = HOST) -> str:
    """Request with Node; return its error."""
    trusting = {"NODE_EXTRA_CA_CERTS": str(certificate)} if certificate else {}
    return _error(["node", "-e", _NODE, str(port), host], **trusting)


def python(port: int, certificate: Path | None, host: str = HOST) -> str:
    """Request with Python's urllib and ssl, with their default checks; return the error."""
    context = ssl.create_default_context(cafile=str(certificate) if certificate else None)
    handlers = (
        urllib.request.ProxyHandler({"https": f"http://127.0.0.1:{port}"}),
        urllib.request.HTTPSHandler(context=context),
    )
    try:
        with urllib.request.build_opener(*handlers).open(f"https://{host}/", timeout=START_TIMEOUT):
            return ""
    except (OSError, urllib.error.URLError) as error:
        return str(error)


Client = Callable[[int, Path | None, str], str]
CLIENTS: dict[str, Client] = {"curl": curl, "python": python, "node": node}
_PAGE = "<title>mitmproxy</title>"  # of mitmproxy's own page; an error page may contain the authority's name
_ABOUT_TRUST = re.compile(r"certificate|ERR_CERT|net_error -20\d|self.signed|issuer", re.IGNORECASE)


def clients() -> dict[str, Client]:
    """Return the clients that are installed."""
    return {name: ask for name, ask in CLIENTS.items() if name == "python" or shutil.which(name)}


def find_chromium() -> str:
    """Return the path of Chromium or Chrome; "" if neither is installed."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "")


def chromium(port: int, host: str = HOST) -> str:
    """Request with Chromium and a copy of the user's NSS database, as it would create one; return the error."""
    with tempfile.TemporaryDirectory(prefix="proxy-policies-") as home:
        for database in filter(Path.exists, chromium_databases(Path.home())):
            shutil.copytree(database, home / database.relative_to(Path.home()))
        command = [
            find_chromium(),
            *_CHROMIUM,
            f"--user-data-dir={home}/profile",
            f"--proxy-server=http://127.0.0.1:{port}",
            f"https://{host}/",
        ]
        kept = {name: value for name, value in os.environ.items() if name.lower() != "no_proxy"}
        try:
            done = subprocess.run(  # noqa: S603 - the browser found above
                command, env={**kept, "HOME": home}, capture_output=True, timeout=BROWSER_TIMEOUT, text=True
            )
        except subprocess.TimeoutExpired:
            return f"no page within {BROWSER_TIMEOUT} s"
    return "" if _PAGE in done.stdout else browser_complaint(done.stdout, done.stderr)


def browser_complaint(page: str, log: str) -> str:
    """Return the error on Chromium's error page, or in its log."""
    if found := re.search(r"ERR_[A-Z_]+", page) or re.search(r"net_error -\d+", log):
        return found[0]
    return f"no page: {log.strip()[-200:]}"


def is_about_trust(complaint: str) -> bool:
    """Return whether a client's error is that it does not trust the authority."""
    return _ABOUT_TRUST.search(complaint) is not None


def _error(command: list[str], **extra: str) -> str:
    kept = {name: value for name, value in os.environ.items() if name.lower() != "no_proxy"}
    done = subprocess.run(  # noqa: S603 - the clients above
        command, env={**kept, **extra}, capture_output=True, timeout=START_TIMEOUT, text=True
    )
    return (done.stderr.strip() or f"exit code {done.returncode}") if done.returncode else ""
