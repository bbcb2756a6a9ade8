"""A gRPC service without a schema: its messages are protobuf with a text in field 1."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import trustme

SERVICE = "shop.Assistant"


def text_message(text: str, number: int = 1) -> bytes:
    """Return a message with a text of up to 127 bytes in a field."""
    data = text.encode()
    return bytes([number << 3 | 2, len(data)]) + data


def text_of(message: bytes) -> str:
    """Return the text of a message that `text_message` made."""
    return message[2:].decode()


@contextmanager
def serving(ca: trustme.CA, talk: Callable[[list[str]], Iterable[str]]) -> Iterator[str]:
    """Serve `Talk`, which answers a stream of texts with another, and yield the server's address.

    The text `fail` ends the response with the status RESOURCE_EXHAUSTED.
    """

    def handle(messages: Iterator[bytes], context: Any) -> Iterator[bytes]:
        for said in talk([text_of(message) for message in messages]):
            if said == "fail":
                context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "no more")
            yield text_message(said)

    with _serving(ca, "Talk", handle) as address:
        yield address


@contextmanager
def taking_turns(ca: trustme.CA, talk: Callable[[Iterator[str]], Iterable[str]]) -> Iterator[str]:
    """Serve `Turns`, which answers texts while they arrive, and yield the server's address."""

    def handle(messages: Iterator[bytes], context: Any) -> Iterator[bytes]:
        yield from map(text_message, talk(map(text_of, messages)))
        context.set_trailing_metadata((("told", "at the end"),))

    with _serving(ca, "Turns", handle) as address:
        yield address


@contextmanager
def echoing(ca: trustme.CA) -> Iterator[str]:
    """Serve `Echo`, which sends each message back at once, and yield the server's address."""

    def handle(messages: Iterator[bytes], context: Any) -> Iterator[bytes]:
        yield from messages
        context.set_trailing_metadata((("told", "at the end"),))

    with _serving(ca, "Echo", handle) as address:
        yield address


@contextmanager
def _serving(ca: trustme.CA, name: str, handle: Callable[[Iterator[bytes], Any], Iterator[bytes]]) -> Iterator[str]:
    cert = ca.issue_cert("localhost")
    chain = b"".join(part.bytes() for part in cert.cert_chain_pems)
    server = grpc.server(ThreadPoolExecutor(4))
    method = grpc.stream_stream_rpc_method_handler(handle)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {name: method}),))
    credentials = grpc.ssl_server_credentials([(cert.private_key_pem.bytes(), chain)])
    port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    try:
        yield f"localhost:{port}"
    finally:
        server.stop(None).wait(20)
