"""gRPC calls in which both sides speak by turns: recorded, replayed and checked, each message before the next."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
import trustme
from tests.support import grpc_server
from tests.support.capture_commands import capture

pytestmark = pytest.mark.timeout(240)

CLIENT = """
import json, os, queue, sys, grpc
address, *words = sys.argv[1:]
def message(text):
    return bytes([10, len(text)]) + text.encode()
with open(os.environ["GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"], "rb") as roots:
    trust = grpc.ssl_channel_credentials(roots.read())
said, heard = queue.SimpleQueue(), []
with grpc.secure_channel(address, trust) as channel:
    call = channel.stream_stream("/shop.Assistant/Turns")(iter(said.get, None), timeout=40)
    try:
        for word in words:
            said.put(message(word))
            heard.append(next(call)[2:].decode())
        said.put(None)
        heard += [answer[2:].decode() for answer in call]
    except grpc.RpcError as error:
        said.put(None)
        heard.append(f"{error.code().name}: {error.details()}")
    else:
        heard.append(f"{call.code().name}: {dict(call.trailing_metadata()).get('told')}")
print(json.dumps(heard))
"""


def echo(words: Iterable[str]) -> Iterator[str]:
    for word in words:
        yield f"heard {word}"
    yield "bye"


def called(address: str, *words: str) -> tuple[str, ...]:
    return ("--", sys.executable, "-c", CLIENT, address, *words)


def test_a_call_by_turns_is_recorded_replayed_and_checked(ca: trustme.CA, ca_file: Path, tmp_path: Path) -> None:
    trust = ("--set", f"ssl_verify_upstream_trusted_ca={ca_file}")
    with grpc_server.taking_turns(ca, echo) as address:
        recorded = capture(tmp_path, "record", *trust, "a.har", *called(address, "one", "two"), timeout=120)
        assert recorded.returncode == 0, recorded.stderr
        heard = ["heard one", "heard two", "bye", "OK: at the end"]
        assert json.loads(recorded.stdout) == heard
        again = capture(tmp_path, "record", *trust, "--append", "a.har", *called(address, "one", "three"), timeout=120)
        assert again.returncode == 0, again.stderr
        target = ("--target", f"https://{address}=https://{address}")
        same = capture(tmp_path, "check", *trust, "a.har", *target)
        assert same.returncode == 0, same.stdout + same.stderr

    def other(words: Iterable[str]) -> Iterator[str]:
        for number, word in enumerate(words):
            yield f"heard {word}" if number == 0 else f"what was {word}?"
        yield "bye"

    with grpc_server.taking_turns(ca, other) as elsewhere:
        target = ("--target", f"https://{address}=https://{elsewhere}")
        changed = capture(tmp_path, "check", *trust, "a.har", *target, "--json", "r.json")
        assert changed.returncode == 1, changed.stderr
        [first, _] = json.loads((tmp_path / "r.json").read_text())["outcomes"]
        assert [change["location"] for change in first["changes"]] == ['json:$.messages[1]["1"]']

    # Which of the two it is shows with the second message only.
    replayed = capture(tmp_path, "replay", "a.har", *called(address, "one", "three"), timeout=120)
    assert replayed.returncode == 0, replayed.stderr
    assert json.loads(replayed.stdout) == ["heard one", "heard three", "bye", "OK: at the end"]
    assert "replayed 1 exchange, 0 not answered" in replayed.stderr
    twice = f"import subprocess; [subprocess.run({list(called(address, 'one', 'two')[1:])!r}) for _ in range(2)]"
    again = capture(tmp_path, "replay", "--mode", "loop", "a.har", "--", sys.executable, "-c", twice, timeout=120)
    assert [json.loads(line) for line in again.stdout.splitlines()] == [heard, heard], again.stderr
    missed = capture(tmp_path, "replay", "a.har", *called(address, "one", "four"), timeout=120)
    assert missed.returncode == 1
    assert "message 2: recorded" in missed.stderr
    assert json.loads(missed.stdout)[0] == "heard one"
