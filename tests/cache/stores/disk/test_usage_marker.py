"""Who uses a folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from proxy_policies.cache.stores.disk import usage_marker


def test_a_folder_is_marked_while_it_is_used(tmp_path: Path) -> None:
    assert not usage_marker.acquire(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [f"in-use-{os.getpid()}"]
    usage_marker.release(tmp_path)
    usage_marker.release(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_folder_stays_marked_until_its_last_store_is_closed(tmp_path: Path) -> None:
    """A store that replaces another in the same folder is opened before that is closed."""
    usage_marker.acquire(tmp_path)
    usage_marker.acquire(tmp_path)
    usage_marker.release(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [f"in-use-{os.getpid()}"]
    usage_marker.release(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_machine_that_went_down_is_noticed_once(tmp_path: Path) -> None:
    (tmp_path / "in-use-1").write_text("an earlier boot")
    assert usage_marker.acquire(tmp_path)
    assert not usage_marker.acquire(tmp_path)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc")
def test_a_process_that_was_killed_leaves_no_mark_for_long(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    (tmp_path / f"in-use-{child.pid}").write_text(usage_marker.boot_id())
    assert not usage_marker.acquire(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [f"in-use-{os.getpid()}"]
    assert usage_marker.is_alive(str(os.getpid()))
    assert not usage_marker.is_alive("x")
