"""Which messages a flow keeps."""

from mitmproxy.websocket import WebSocketMessage
from wsproto.frame_protocol import Opcode

from proxy_policies.limits.message_history import OVERHEAD, UNREAD, MessageHistory


def add(history: MessageHistory, messages: list[WebSocketMessage], size: int, from_client: bool = True) -> bool:
    messages.append(WebSocketMessage(Opcode.BINARY, from_client, bytes(size)))
    return history.add(messages)


def kept(messages: list[WebSocketMessage]) -> int:
    return sum(len(message.content) + OVERHEAD for message in messages)


def test_no_more_is_kept_than_the_bound_and_nothing_is_lost_count_of() -> None:
    history, messages, sent = MessageHistory(), list[WebSocketMessage](), {True: 0, False: 0}
    for number in range(5000):
        size = number * 7919 % 3000
        sent[number % 3 == 0] += size
        if add(history, messages, size, number % 3 == 0):
            history.shorten(messages, UNREAD)
        assert kept(messages) <= UNREAD
        assert len(messages[-1].content) == size, "the last one is there for every hook"
    for message in messages:
        sent[message.from_client] -= len(message.content)
    assert history.removed == sent
    assert len(messages) > 10


def test_empty_messages_count_too() -> None:
    history, messages = MessageHistory(), list[WebSocketMessage]()
    assert any(add(history, messages, 0) for _ in range(UNREAD // OVERHEAD + 1))


def test_a_large_one_stays_as_long_as_it_is_the_last() -> None:
    history, messages = MessageHistory(), list[WebSocketMessage]()
    assert add(history, messages, 2 * UNREAD)
    assert not history.shorten(messages, UNREAD)
    assert add(history, messages, 1)
    assert history.shorten(messages, UNREAD)
    assert [len(message.content) for message in messages] == [1]


def test_while_there_is_room_it_is_seldom_looked_at() -> None:
    history, messages, looks = MessageHistory(), list[WebSocketMessage](), 0
    for _ in range(10_000):
        if add(history, messages, 1000):
            looks += 1
            assert not history.shorten(messages, 1 << 30)
    assert looks < 8
