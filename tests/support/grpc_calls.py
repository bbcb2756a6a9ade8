"""Recorded gRPC calls, from the messages of each side by their times."""

from proxy_policies.capture.model import Body, Entry, Request, Response, Times

GRPC = (("content-type", "application/grpc"),)


def message(text: bytes) -> bytes:
    return b"\0" + len(text).to_bytes(4) + text


def call(client: dict[float, bytes], server: dict[float, bytes], times: Times) -> Entry:
    """Return a call with the messages of each side, by their times."""
    sent, answered = (Body(b"".join(map(message, side.values())), frame_times=tuple(side)) for side in (client, server))
    return Entry(Request("POST", "https://a.test/S/Talk", GRPC, sent), Response(200, "", GRPC, answered), times)


TURNS = call({1.0: b"one", 3.0: b"two"}, {2.0: b"ONE", 5.0: b"TWO"}, Times(0.0, 4.0, 1.5, 6.0))
AT_ONCE = call({1.0: b"one", 1.1: b"two"}, {3.0: b"ONE", 3.1: b"TWO"}, Times(0.0, 2.0, 2.5, 4.0))
