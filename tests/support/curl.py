"""Runs the real curl."""

import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.mitmdump import environment


@dataclass
class Result:
    """The last response's status, fields and body, and curl's exit code."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    stderr: str
    code: int
    heads: list[str] = field(default_factory=list)
    """Every status line, including that of a proxy's response to CONNECT."""

    def get(self, name: str) -> str | None:
        """Return a field's lines joined, None if absent."""
        lines = [value for key, value in self.headers if key.lower() == name.lower()]
        return ", ".join(lines) if lines else None


def curl(*arguments: str, timeout: float = 150) -> Result:
    """Run curl with these arguments and return what it received."""
    with tempfile.TemporaryDirectory() as folder:
        head, body = Path(folder, "head"), Path(folder, "body")
        command = ["curl", "-sS", "--noproxy", "", "--max-time", str(timeout), "-D", str(head), "-o", str(body)]
        done = subprocess.run([*command, *arguments], capture_output=True, env=environment(), timeout=timeout + 10)
        text = head.read_bytes().decode("latin-1") if head.exists() else ""
        heads = [part.split("\r\n") for part in text.split("\r\n\r\n") if part]
        last = heads[-1] if heads else ["HTTP/0 0"]
        fields = [(name, value.strip()) for name, _, value in (line.partition(":") for line in last[1:])]
        content = body.read_bytes() if body.exists() else b""
        status = int(last[0].split(" ")[1])
        return Result(status, fields, content, done.stderr.decode(), done.returncode, [part[0] for part in heads])
