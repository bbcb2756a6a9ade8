"""Finds the proxies that run on this machine, and asks them over their control sockets."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proxy_policies.control import socket_files
from proxy_policies.control.messages import ControlError, Question, read_answer, write_question
from proxy_policies.options.files import expand_home

ANSWER_TIMEOUT = 30.0  # seconds for an answer: a proxy under load may be slow
CHUNK = 64 * 1024


@dataclass(frozen=True)
class Instance:
    """A running proxy: its socket, and its answer to `status`."""

    path: Path
    status: Mapping[str, Any]

    @property
    def ports(self) -> frozenset[int]:
        """The ports it listens on."""
        return frozenset(int(address.rpartition(":")[2]) for address in self.status["addresses"])

    @property
    def title(self) -> str:
        """The addresses, the ends of a tunnel and the process id, for messages."""
        where = ", ".join([*self.status["addresses"], *self.tunnel_ends]) or "no port"
        return f"{where} (process {self.status['pid']})"

    @property
    def tunnel_ends(self) -> Sequence[str]:
        """Whether it is `home`, `work`, both or neither."""
        ends: Sequence[str] = self.status.get("tunnel_ends", ())
        return ends

    @property
    def policies(self) -> Collection[str]:
        """The policies about which it can be asked, with the ends of a tunnel that it is."""
        loaded: Sequence[str] = self.status.get("policies", ())  # a proxy that was started before an upgrade has none
        return {*loaded, *self.tunnel_ends}

    def ask(self, command: str, *arguments: str) -> Any:
        """Return the answer to a command. Raise ControlError."""
        return ask(self.path, Question(command, arguments))


def ask(path: Path, question: Question) -> Any:
    """Return the answer to a question on a socket. Raise ControlError, or OSError if it cannot be reached."""
    with socket_files.connect(path, ANSWER_TIMEOUT) as connection:
        connection.sendall(write_question(question))
        answer = bytearray()
        while piece := connection.recv(CHUNK):
            answer += piece
    return read_answer(bytes(answer))


def instances(confdirs: Iterable[Path]) -> list[Instance]:
    """Return the proxies running with any of these confdirs; remove stale sockets."""
    found = []
    named = [expand_home(path).absolute() for path in confdirs]
    where = {socket_files.folder_of(path).resolve(): path for path in named}
    for confdir in where.values():
        socket_files.remove_stale(confdir)
        for path in socket_files.sockets(confdir):
            try:
                found.append(Instance(path, ask(path, Question("status"))))
            except (OSError, ControlError):  # it has just ended, or is another program
                continue
    return found


def choose(found: Sequence[Instance], port: int | None, pid: int | None = None) -> list[Instance]:
    """Return the selected proxy, or the workers that share its port. Raise ControlError if there is none or several."""
    chosen = [one for one in found if port in (None, *one.ports) and pid in (None, one.status["pid"])]
    if not found:
        raise ControlError("no proxy with these policies is running; use --confdir if it has another confdir")
    if not chosen:
        wanted = f"listens on port {port}" if pid is None else f"is process {pid}"
        raise ControlError(f"no running proxy {wanted}; there are {_titles(found)}")
    if len({one.ports or one.path for one in chosen}) > 1:
        raise ControlError(f"several are running, select one with --port or --pid: {_titles(chosen)}")
    return chosen


def _titles(found: Sequence[Instance]) -> str:
    return "; ".join(one.title for one in found)
