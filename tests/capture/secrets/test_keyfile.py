"""The key for placeholders is made once, for its owner only."""

from pathlib import Path

import pytest

from proxy_policies.capture.errors import CaptureError
from proxy_policies.capture.secrets.keyfile import NAME, load_key


def test_it_is_made_once(tmp_path: Path) -> None:
    folder = tmp_path / "conf"
    key = load_key(folder)
    assert load_key(folder) == key
    assert len(key) == 32
    assert [path.name for path in folder.iterdir()] == [NAME]
    assert (folder / NAME).stat().st_mode & 0o777 == 0o600


def test_a_short_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"short")
    with pytest.raises(CaptureError, match="is too short; remove it"):
        load_key(tmp_path)


def test_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CaptureError, match="capture-key"):
        load_key(tmp_path / "file")
