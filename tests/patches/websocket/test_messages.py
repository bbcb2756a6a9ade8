"""No WebSocket message is larger than the bound, whatever it unpacks to."""

import tracemalloc
from collections.abc import Iterator

import pytest
import wsproto.extensions
from wsproto import ConnectionType
from wsproto.connection import Connection
from wsproto.events import CloseConnection, Message
from wsproto.frame_protocol import CloseReason

from proxy_policies.patches.websocket import layer, messages

MIB = 1 << 20


@pytest.fixture(autouse=True)
def patched() -> Iterator[None]:
    undo = layer.PATCH.apply()
    assert undo
    yield
    undo()
    messages.limit(messages.DEFAULT_LIMIT)


def websocket(kind: ConnectionType) -> Connection:
    deflate = wsproto.extensions.PerMessageDeflate()
    deflate.finalize("permessage-deflate")
    return Connection(kind, [deflate])


def received(size: int, fragments: int = 1) -> list[object]:
    """Send a message of NULs in fragments, and give what the other side makes of them."""
    sender, receiver = websocket(ConnectionType.CLIENT), websocket(ConnectionType.SERVER)
    found: list[object] = []
    for number in range(1, fragments + 1):
        receiver.receive_data(sender.send(Message(bytes(size // fragments), message_finished=number == fragments)))
        for event in receiver.events():
            found.append(len(event.data) if isinstance(event, Message) else event)
    return found


@pytest.mark.parametrize("fragments", [1, 10])
def test_a_message_that_unpacks_to_much_ends_the_connection(fragments: int) -> None:
    messages.limit(MIB)
    *_, last = received(20 * MIB, fragments)
    assert isinstance(last, CloseConnection)
    assert last.code == CloseReason.MESSAGE_TOO_BIG
    assert sum(size for size in received(MIB, 1) if isinstance(size, int)) == MIB
    messages.limit(0)
    assert sum(size for size in received(2 * MIB, 1) if isinstance(size, int)) == 2 * MIB


def test_no_more_of_a_message_is_unpacked_than_the_bound() -> None:
    """However much is in one frame: what is made of it counts, not what is kept."""
    messages.limit(MIB)
    frame = websocket(ConnectionType.CLIENT).send(Message(bytes(64 * MIB)))
    receiver = websocket(ConnectionType.SERVER)
    tracemalloc.start()
    try:
        receiver.receive_data(frame)
        assert any(isinstance(event, CloseConnection) for event in receiver.events())
        assert tracemalloc.get_traced_memory()[1] < 8 * MIB
    finally:
        tracemalloc.stop()


def test_a_message_that_never_ends_ends_the_connection() -> None:
    messages.limit(10_000)
    sender, receiver = Connection(ConnectionType.CLIENT), Connection(ConnectionType.SERVER)
    kept = 0
    for _ in range(100):
        receiver.receive_data(sender.send(Message(bytes(1000), message_finished=False)))
        for event in receiver.events():
            if isinstance(event, CloseConnection):
                assert (event.code, kept) == (CloseReason.MESSAGE_TOO_BIG, 10_000)
                return
            assert isinstance(event, Message)
            kept += len(event.data)
    raise AssertionError("it goes on")


def test_messages_are_counted_one_by_one() -> None:
    messages.limit(MIB)
    sender, receiver = websocket(ConnectionType.CLIENT), websocket(ConnectionType.SERVER)
    for _ in range(5):
        receiver.receive_data(sender.send(Message(bytes(MIB // 2))))
        assert sum(len(event.data) for event in receiver.events() if isinstance(event, Message)) == MIB // 2


def test_empty_frames_count_too() -> None:
    messages.limit(1000)
    sender, receiver = Connection(ConnectionType.CLIENT), Connection(ConnectionType.SERVER)
    for _ in range(1000):
        receiver.receive_data(sender.send(Message(b"", message_finished=False)))
        if any(isinstance(event, CloseConnection) for event in receiver.events()):
            return
    raise AssertionError("it goes on")
