"""Bytes through asyncio's own streams."""

import asyncio
import random

import pytest
from tests.support.relay_links import MakeEnd
from tests.support.relay_peers import receive, send

from proxy_policies.relay.ends import WriteError
from proxy_policies.relay.streams import copy_until_eof


async def test_bytes_and_the_end_of_file_pass(make_end: MakeEnd) -> None:
    (source, client), (sink, server) = await make_end(), await make_end()
    source.prefix = b"first "
    counted: list[int] = []
    data = random.Random(1).randbytes(1_000_000)
    copying = asyncio.create_task(copy_until_eof(source, sink, counted.append))
    received, _, _ = await asyncio.gather(receive(server), send(client, data, random.Random(2)), copying)
    assert received == b"first " + data
    assert sum(counted) == len(received)


async def test_a_sink_that_takes_no_more_is_told_apart_from_the_source(make_end: MakeEnd) -> None:
    (source, _), (sink, _) = await make_end(), await make_end()
    sink.writer.write_eof()
    source.prefix = b"too late"
    with pytest.raises(WriteError):
        await asyncio.wait_for(copy_until_eof(source, sink, lambda size: None), 100)
