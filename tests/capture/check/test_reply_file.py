"""Replies kept in a file."""

import pytest

from proxy_policies.capture.check.reply_file import ReplyFile
from proxy_policies.capture.check.sender import SendResult
from proxy_policies.capture.model import Body, Response


def test_what_was_put_comes_back_in_any_order() -> None:
    spool = ReplyFile()
    replies = {
        7: SendResult(Response(200, "OK", (("a", "b"),), Body(b"\x00" * 100_000)), 0.5),
        1: SendResult(error="no answer"),
    }
    for number, sent in replies.items():
        spool.put(number, sent)
    assert dict(spool) == replies
    assert (spool[1], spool[7], len(spool)) == (replies[1], replies[7], 2)
    for number in (-1, 0, 2, 8):
        with pytest.raises(KeyError):
            spool[number]
