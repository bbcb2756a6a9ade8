"""The programs that tests run, and the Debian packages that contain them.

`python -m tests.support.programs` prints the packages of those that are missing; scripts/test installs them.
"""

import os
import shutil

import pytest

PACKAGES = {
    "certutil": "libnss3-tools",
    "chromium": "chromium",
    "curl": "curl",
    "fish": "fish",
    "git": "git",
    "haproxy": "haproxy",
    "ip": "iproute2",
    "ip6tables": "iptables",
    "iptables": "iptables",
    "node": "nodejs",
    "openssl": "openssl",
    "redis-server": "redis-server",
    "socat": "socat",
    "ssh": "openssh-client",
    "sshd": "openssh-server",
    "strace": "strace",
    "trust": "p11-kit",
    "unshare": "util-linux",
    "zsh": "zsh",
}


def find(program: str) -> str | None:
    """Return a program's path, None if it is not installed; daemons live outside many users' PATH."""
    return shutil.which(program, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"]))


def need(program: str) -> str:
    """Return a program's path; if it is missing, skip the test, or fail it if `CI=true`."""
    path = find(program)
    if path is None:
        reason = f"needs {program} (Debian package {PACKAGES[program]})"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return path


def missing_packages() -> list[str]:
    """Return the packages of missing programs."""
    return sorted({package for program, package in PACKAGES.items() if find(program) is None})


if __name__ == "__main__":
    print(*missing_packages())
