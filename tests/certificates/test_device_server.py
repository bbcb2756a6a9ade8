"""The page for devices, served."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.mitmdump import environment
from tests.support.programs import need

from proxy_policies.certificates import device_server
from proxy_policies.certificates.authority import CERTIFICATE_FILE
from proxy_policies.command.main import main


def test_it_is_served_until_interrupted(tmp_path: Path) -> None:
    folder = tmp_path / "certs"
    assert main(["certs", "--folder", str(folder), "make"]) == 0
    command = [sys.executable, "-m", "proxy_policies", "certs", "--folder", str(folder), "serve", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())
    try:
        assert process.stdout is not None
        lines: list[str] = []
        while not (lines and lines[-1].startswith("Ctrl-C")) and process.poll() is None:
            lines.append(process.stdout.readline())
        url = next(line.split()[0] for line in lines if line.startswith("http://127.0.0.1:"))
        assert "only this machine can open it" in "".join(lines)
        page = subprocess.run([need("curl"), "-si", url], capture_output=True, text=True, timeout=60).stdout
        assert "Content-Security-Policy: default-src 'none';" in page
        assert "Server:" not in page
        assert "<svg" in page
        assert url in page
        got = subprocess.run([need("curl"), "-s", f"{url}proxy-policies.crt"], capture_output=True, timeout=60).stdout
        assert got == (folder / CERTIFICATE_FILE).read_bytes()
    finally:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")


@pytest.mark.parametrize(("host", "begin"), [("127.0.0.1", "http://127.0.0.1:"), ("::1", "http://[::1]:")])
def test_the_url_of_an_address_of_this_machine(host: str, begin: str) -> None:
    sockets = device_server.bind(host, 0)
    assert device_server.url_of(sockets).startswith(begin)
    for one in sockets:
        one.close()


def test_without_what_makes_qr_codes_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "segno", None)
    with pytest.raises(ValueError, match=r"^a QR code needs segno: .* install segno$"):
        device_server.qr_code("http://192.0.2.7/")


@pytest.mark.parametrize("port", ["-1", "65536", "x", ""])
def test_what_is_no_port_is_refused(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["certs", "serve", f"--port={port}"])
    assert ended.value.code == 2
    assert f"{port!r} is not a port" in capsys.readouterr().err


def test_an_address_that_cannot_be_is_named(tmp_path: Path) -> None:
    """In a process of its own: tornado leaves a socket that it could not bind to the collector."""
    folder = ("certs", "--folder", str(tmp_path / "certs"))
    assert main([*folder, "make"]) == 0
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "proxy_policies", *folder, "serve", "--port", port]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment())
    line = f"proxy-policies certs: 127.0.0.1, port {port}: Address already in use\n"
    assert (done.returncode, done.stderr) == (1, line)
