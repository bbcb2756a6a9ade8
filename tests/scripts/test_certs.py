"""scripts/certs: a CA that scripts/proxy uses, that real clients trust, and that can be taken back."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.clone import Clone
from tests.support.mitmdump import Running
from tests.support.origin import Origin
from tests.support.programs import find, need

from proxy_policies.certificates.stores import ca_variables

Start = Callable[..., Running]

CHROMIUM = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    "--proxy-bypass-list=<-loopback>",
    "--dump-dom",
]
URLLIB = "import sys, urllib.request as u; sys.stdout.write(u.urlopen(sys.argv[1], timeout=100).read().decode())"
NODE = """
const url = new URL(process.argv[1]), proxy = new URL(process.env.https_proxy);
const fail = error => { console.error(error.message); process.exit(1); };
require("http").request({host: proxy.hostname, port: proxy.port, method: "CONNECT", path: url.host})
  .on("connect", (_, socket) => {
    const tls = require("tls").connect({socket, servername: url.hostname}).on("error", fail);
    tls.pipe(process.stdout);
    tls.write(`GET / HTTP/1.1\\r\\nHost: ${url.host}\\r\\nConnection: close\\r\\n\\r\\n`);
  }).on("error", fail).end();
"""
CLIENTS = {
    "curl": ["curl", "-sS", "--noproxy", ""],
    "python": ["python", "-c", URLLIB],
    "node": ["node", "-e", NODE],
}


@pytest.fixture
def secure_origin(origin: Callable[..., Origin], server_tls: Any) -> Origin:
    return origin(tls=server_tls)


@pytest.fixture
def inspecting(clone: Clone, proxy_script: Start, ca_file: Path) -> Callable[[], Running]:
    """Start scripts/proxy so that it opens every host; it trusts the origin."""
    trusting = f"ssl_verify_upstream_trusted_ca={ca_file}"
    return lambda: proxy_script(clone, "--set", "inspect_hosts=*", "--set", trusting)


def certificate(clone: Clone) -> Path:
    return clone.root / "certs/mitmproxy-ca-cert.pem"


def test_the_key_is_the_owners_alone_and_git_refuses_it(clone: Clone) -> None:
    made = clone.run("certs", "make")
    assert made.returncode == 0, made.stderr
    key = clone.root / "certs/mitmproxy-ca.pem"
    assert key.stat().st_mode & 0o777 == 0o600

    def git(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([need("git"), *arguments], cwd=clone.root, capture_output=True, text=True, timeout=100)

    git("init", "-q")
    for path in (clone.root / "certs").iterdir():
        refused = path.name not in ("README.md", ".gitignore")
        assert (git("add", f"certs/{path.name}").returncode == 1) == refused, path.name
    git("add", ".")
    assert git("ls-files", "certs").stdout.split() == ["certs/.gitignore", "certs/README.md"]


def test_make_replaces_a_ca_only_when_forced(clone: Clone) -> None:
    clone.run("certs", "make")
    first = certificate(clone).read_bytes()
    again = clone.run("certs", "make")
    assert (again.returncode, certificate(clone).read_bytes()) == (1, first)
    assert "--force" in again.stderr
    assert clone.run("certs", "make", "--force").returncode == 0
    assert certificate(clone).read_bytes() != first


def test_verify_tries_real_clients(clone: Clone) -> None:
    clone.run("certs", "make")
    done = clone.run("certs", "verify")
    assert done.returncode == 0, done.stdout + done.stderr
    for client in filter(find, ("curl", "node")):
        assert f"ok    {client:<15} opens HTTPS" in done.stdout
    assert "ok    python          opens HTTPS" in done.stdout
    assert "warn  chromium        does not trust it" in done.stdout


def test_verify_tells_a_certificate_that_is_not_the_keys(clone: Clone) -> None:
    clone.run("certs", "make")
    old = certificate(clone).read_bytes()
    clone.run("certs", "make", "--force")
    certificate(clone).write_bytes(old)
    done = clone.run("certs", "verify")
    assert done.returncode == 1
    assert "is not what mitmproxy-ca.pem signs with" in done.stdout


@pytest.mark.parametrize("command", ["env", "verify", "undo"])
def test_without_a_ca_there_is_one_line(clone: Clone, command: str) -> None:
    done = clone.run("certs", command)
    assert done.returncode == 1
    assert done.stderr.startswith(f"proxy-policies certs: no certificate authority in {clone.root}/certs")
    assert len(done.stderr.splitlines()) == 1


def test_the_proxy_uses_it_and_goes_on_reading_the_users_config(
    clone: Clone, inspecting: Callable[[], Running], secure_origin: Origin, curl: Any
) -> None:
    theirs = clone.home / ".mitmproxy"
    theirs.mkdir()
    (theirs / "config.yaml").write_text("onboarding_host: ours.test\n")
    clone.run("certs", "make")
    proxy = inspecting()
    result = curl("-x", proxy.url, "--cacert", str(certificate(clone)), f"{secure_origin.url}/")
    assert (result.status, result.stderr) == (200, "")
    assert b"mitmproxy" in curl("-x", proxy.url, "http://ours.test/").body
    assert curl("-x", proxy.url, "http://ours.test/cert/pem").body == certificate(clone).read_bytes()
    assert [path.name for path in theirs.iterdir()] == ["config.yaml"]


def test_the_users_confdir_wins(clone: Clone, proxy_script: Start, tmp_path: Path, curl: Any) -> None:
    clone.run("certs", "make")
    proxy = proxy_script(clone, "--set", f"confdir={tmp_path}/theirs")
    given = curl("-x", proxy.url, "http://mitm.it/cert/pem").body
    assert given == (tmp_path / "theirs/mitmproxy-ca-cert.pem").read_bytes() != certificate(clone).read_bytes()


def test_undo_deletes_it_and_the_proxy_uses_mitmproxys_own(clone: Clone, proxy_script: Start, curl: Any) -> None:
    clone.run("certs", "make")
    proxy_script(clone).stop()
    done = clone.run("certs", "undo")
    assert done.returncode == 0, done.stderr
    assert not list((clone.root / "certs").glob("*.p*"))
    given = curl("-x", proxy_script(clone).url, "http://mitm.it/cert/pem").body
    assert given == (clone.home / ".mitmproxy/mitmproxy-ca-cert.pem").read_bytes()


@pytest.mark.parametrize("client", CLIENTS)
def test_a_shell_that_takes_the_variables_over_trusts_it(
    clone: Clone, inspecting: Callable[[], Running], secure_origin: Origin, client: str
) -> None:
    if client != "python":
        need(client)
    clone.run("certs", "make")
    proxy, url = inspecting(), secure_origin.url.replace("127.0.0.1", "localhost")

    def ask(script: str) -> subprocess.CompletedProcess[str]:
        environment = clone.environment(https_proxy=proxy.url, CERTS=str(clone.root / "scripts/certs"))
        environment["PATH"] = f"{clone.root}/.venv/bin:{environment['PATH']}"
        command = ["bash", "-c", f'{script}; "$@"', "bash", *CLIENTS[client], f"{url}/"]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)

    variables = " ".join(ca_variables(Path(), Path()))
    trusting = ask('eval "$("$CERTS" env)"')
    assert trusting.stdout.endswith("hello from the origin\n"), trusting.stderr
    assert "hello" not in ask(f"unset {variables}").stdout
    assert f"unset {variables}" in clone.run("certs", "undo").stdout


def test_chromium_trusts_it_until_undone(
    clone: Clone, inspecting: Callable[[], Running], secure_origin: Origin
) -> None:
    chromium, _ = need("chromium"), need("certutil")
    clone.run("certs", "make")
    proxy = inspecting()

    def page() -> str:
        command = [chromium, *CHROMIUM, f"--proxy-server={proxy.url}", f"{secure_origin.url}/"]
        return subprocess.run(command, env=clone.environment(), capture_output=True, text=True, timeout=60).stdout

    assert "hello from the origin" not in page()
    assert clone.run("certs", "trust", "chromium").returncode == 0
    assert clone.run("certs", "verify", "chromium").returncode == 0
    assert "hello from the origin" in page()
    assert clone.run("certs", "untrust", "chromium").returncode == 0
    assert clone.run("certs", "verify", "chromium").returncode == 1
    assert "hello from the origin" not in page()


def test_firefox_without_a_profile_is_told(clone: Clone) -> None:
    clone.run("certs", "make")
    done = clone.run("certs", "trust", "firefox")
    assert (done.returncode, done.stderr) == (
        1,
        "proxy-policies certs: firefox has no profile here yet: start it once\n",
    )


def test_a_store_that_does_not_exist_is_refused(clone: Clone) -> None:
    done = clone.run("certs", "trust", "solaris")
    assert done.returncode != 0
    assert "no store 'solaris'; choose from debian, fedora, chromium" in done.stderr
