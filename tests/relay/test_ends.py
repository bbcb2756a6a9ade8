"""The ends of a link, and how sockets are borrowed from streams."""

import errno
import random

import pytest
from tests.support.relay_links import MakeEnd
from tests.support.relay_peers import receive, send

from proxy_policies.relay.ends import Broken


async def test_what_was_read_already_comes_first(make_end: MakeEnd) -> None:
    end, far = await make_end()
    end.prefix = b"before "
    await send(far, b"read by the loop", random.Random(1), eof=False)
    await end.reader.readexactly(5)
    assert end.take_buffered() == b"before " + b"by the loop"
    assert end.take_buffered() == b""


async def test_a_borrowed_socket_is_a_duplicate(make_end: MakeEnd) -> None:
    end, far = await make_end()
    with end.dup_socket() as double:
        assert not double.getblocking()
        double.sendall(b"x")
    end.writer.write(b"y")
    await end.flush()
    end.writer.write_eof()
    assert await receive(far) == b"xy"


async def test_a_stream_that_is_closed_has_no_socket_to_lend(make_end: MakeEnd) -> None:
    end, _ = await make_end()
    end.writer.close()
    with pytest.raises(OSError, match="not a plain socket"):
        end.dup_socket()


async def test_a_reset_is_no_end_of_file(make_end: MakeEnd) -> None:
    end, far = await make_end()
    end.reset()
    with pytest.raises(ConnectionResetError):
        await receive(far)


@pytest.mark.parametrize(("number", "kept"), [(errno.EPIPE, False), (errno.ECONNRESET, True)])
def test_what_a_failed_send_says_of_the_other_direction(number: int, kept: bool) -> None:
    broken = Broken()
    broken.note(OSError(number, "x"))
    assert (broken.error is not None) is kept
