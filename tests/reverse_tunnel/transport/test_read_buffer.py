"""One read buffer for all connections of a thread."""

from proxy_policies.reverse_tunnel.protocol.frames import HEADER_SIZE
from proxy_policies.reverse_tunnel.transport import read_buffer


def test_a_head_fits_before_what_was_read() -> None:
    read_buffer.payload()[:4] = b"body"
    assert bytes(read_buffer.with_header(b"h" * HEADER_SIZE, 4)) == b"h" * HEADER_SIZE + b"body"


def test_a_buffer_with_a_view_is_not_reused() -> None:
    kept = read_buffer.view()
    kept[:3] = b"old"
    read_buffer.detach()
    read_buffer.view()[:3] = b"new"
    assert bytes(kept[:3]) == b"old"


def test_it_stays_when_all_of_it_was_copied() -> None:
    before = read_buffer.view()
    read_buffer.mark_copied(before[:5])
    read_buffer.detach()
    assert read_buffer.view().obj is before.obj


def test_ciphertext_has_a_buffer_of_its_own() -> None:
    assert read_buffer.ciphertext().obj is not read_buffer.view().obj
    assert len(read_buffer.ciphertext()) > len(read_buffer.payload())
