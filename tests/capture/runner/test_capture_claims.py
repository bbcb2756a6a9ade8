"""Claims on captures, between processes."""

import multiprocessing
from pathlib import Path

import pytest

from proxy_policies.capture.errors import CaptureError
from proxy_policies.capture.runner.capture_claims import CaptureClaims

CAPTURE = Path("captures") / "a.har"


def test_a_capture_is_one_test_s_unless_it_is_named(tmp_path: Path) -> None:
    claims, of_another_process = CaptureClaims(tmp_path / "claims"), CaptureClaims(tmp_path / "claims")
    claims.claim(CAPTURE, "test_a", is_named=False)
    of_another_process.claim(CAPTURE, "test_a", is_named=False)
    of_another_process.claim(CAPTURE, "test_b", is_named=True)
    with pytest.raises(CaptureError, match=r"A\.har is the capture of test_a, too"):
        of_another_process.claim(CAPTURE.with_name("A.har"), "test_b", is_named=False)


def test_what_was_recorded_is_known_to_all(tmp_path: Path) -> None:
    claims, of_another_process = CaptureClaims(tmp_path), CaptureClaims(tmp_path)
    assert not of_another_process.was_recorded(CAPTURE)
    claims.mark_recorded(CAPTURE)
    assert of_another_process.was_recorded(CAPTURE)
    assert not of_another_process.was_recorded(CAPTURE.with_name("b.har"))


def add(folder: Path, counter: Path) -> None:
    claims = CaptureClaims(folder)
    for _ in range(50):
        with claims.recording_lock(CAPTURE):
            counter.write_text(str(int(counter.read_text()) + 1))


def test_one_process_at_a_time(tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0")
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=add, args=(tmp_path / "claims", counter)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert counter.read_text() == "100"
