"""For all other systems, and for TLS: moves bytes through asyncio's own streams."""

from __future__ import annotations

from collections.abc import Callable

from proxy_policies.byte_streams.socket_options import reset_on_close
from proxy_policies.relay.ends import StreamEnd, WriteError

CHUNK = 1 << 18  # bytes


async def copy_until_eof(source: StreamEnd, sink: StreamEnd, tally: Callable[[int], None]) -> None:
    """Move bytes from source to sink until end of file, and pass that on. Raise as `link.relay_one_way`."""
    data, source.prefix = source.prefix, b""
    while data or (data := await source.reader.read(CHUNK)):
        await _write(sink, data)
        tally(len(data))
        data = b""
    await _end(sink)


async def _write(sink: StreamEnd, data: bytes) -> None:
    try:
        sink.writer.write(data)
        await sink.writer.drain()
    except (OSError, RuntimeError) as error:  # RuntimeError: write after end of file
        raise WriteError(str(error)) from error


async def _end(sink: StreamEnd) -> None:
    """Pass on the end of file. TLS in the event loop has no half-close, so close fully."""
    try:
        if sink.writer.can_write_eof():
            sink.writer.write_eof()
        else:
            reset_on_close(sink.writer.get_extra_info("socket"), False)
            sink.writer.close()
    except OSError:
        return  # gone already
