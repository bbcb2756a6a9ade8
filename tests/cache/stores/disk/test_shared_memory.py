"""The file that SQLite maps into memory; what becomes of a process without it is tried in `test_store.py`."""

from pathlib import Path

from proxy_policies.cache.stores.disk.shared_memory import SMALLEST, SharedMemoryFile


def test_it_is_extended_to_the_size_that_it_had(tmp_path: Path) -> None:
    file, shared = tmp_path / "index.sqlite-shm", SharedMemoryFile(tmp_path / "index.sqlite")
    shared.ensure_size()
    assert not file.exists()
    for size in (2 * SMALLEST, 0, SMALLEST):
        file.write_bytes(b"x" * size)
        shared.ensure_size()
        assert file.read_bytes() == b"x" * size + bytes(2 * SMALLEST - size)
    file.write_bytes(b"")
    SharedMemoryFile(tmp_path / "index.sqlite").ensure_size()
    assert file.stat().st_size == SMALLEST
