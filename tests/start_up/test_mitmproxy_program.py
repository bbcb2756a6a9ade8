"""The exit codes of mitmproxy's programs."""

import subprocess
import sys

import pytest
from tests.support.mitmdump import environment

VALUES = ["-w", "/dev/null", "-M", "/a/b/", "-B", "/a/b", "--proxyauth", "a:b", "--stickycookie", "~u x", "-k"]
"""Arguments with values, of options that mitmproxy's addons have."""


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["run", "--frob"], 2, "proxy-policies run: error: unrecognized arguments: --frob"),
        (["web", "-p", "x"], 2, "proxy-policies web: error: argument --listen-port/-p: invalid int value: 'x'"),
        (["run", "--workers", "2", "--frob"], 2, "proxy-policies run: error: unrecognized arguments: --frob"),
        (["run", "--set", "cache=nowhere"], 1, "option cache='nowhere': choose off"),
        (["run", "web"], 1, "unrecognized argument: web; a flow filter would be '~u web'"),
        (["web", "run"], 2, "proxy-policies web: error: unrecognized arguments: run"),
        (["home", "9000"], 1, "unrecognized argument: 9000; a flow filter would be '~u 9000'"),
        (["run", *VALUES, "--set", "cache=nowhere"], 1, "option cache='nowhere': choose off"),
        (
            ["run", "--set", "tls_version_client_min=TLS9"],
            1,
            "option tls_version_client_min='TLS9': choose one of UNBOUN",
        ),
        (["web", "--set", "termlog_verbosity=loud"], 1, "option termlog_verbosity='loud': choose one of error, warn"),
        (
            ["run", "--certs", "/"],
            1,
            "addon tlsconfig cannot use an option: IsADirectoryError: [Errno 21] Is a directory",
        ),
        (["run", "--version"], 0, "Mitmproxy: "),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_command_line_has_an_exit_code_of_its_own(words: list[str], code: int, said: str) -> None:
    command = [sys.executable, "-m", "proxy_policies", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, env=environment())
    assert done.returncode == code
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
