"""One proxy for a session of tests: it records and replays as each test asks, and keeps nothing of one that failed."""

import json
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.error import HTTPError

import pytest
from tests.support.origin import Origin

from proxy_policies.capture.errors import CaptureError
from proxy_policies.capture.har.reader import count_entries, open_capture
from proxy_policies.capture.runner.capture_claims import CaptureClaims
from proxy_policies.capture.runner.session_proxy import CaptureOptions, SessionProxy

pytestmark = pytest.mark.xdist_group("session_proxy")


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SessionProxy]:
    folder = tmp_path_factory.mktemp("session")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HTTP_CAPTURE_CONFDIR", str(folder / "conf"))
        made = SessionProxy(folder, CaptureClaims(folder / "claims"))
    with made:
        yield made


@pytest.fixture
def fetch(proxy: SessionProxy) -> Callable[[str], int]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({"http": proxy.url}))

    def status(url: str) -> int:
        try:
            with opener.open(url, timeout=60) as answer:
                return int(answer.status)
        except HTTPError as error:
            error.close()
            return error.code

    return status


def test_a_test_records_and_the_next_replays(
    proxy: SessionProxy, fetch: Callable[[str], int], origin: Callable[..., Origin], tmp_path: Path
) -> None:
    server, path = origin(), tmp_path / "captures" / "a.har"
    url = f"{server.url}/a"
    assert fetch(url) == 599, "nothing leaves where no test asked for it"
    proxy.begin_test(path, "record", "test_a", CaptureOptions())
    assert fetch(url) == 200
    with pytest.raises(CaptureError, match="the capture of test_a is not over"):
        proxy.begin_test(path, "once", "test_b", CaptureOptions())
    assert proxy.end_test() == 1
    assert (proxy.claims.was_recorded(path), path.parent.stat().st_mode & 0o777) == (True, 0o700)
    server.close()
    report = proxy.begin_test(path, "once", "test_a", CaptureOptions())
    assert (fetch(url), fetch(url)) == (200, 599)
    assert proxy.end_test() == 0
    told = json.loads(report.read_text())
    assert (told["played"], len(told["misses"])) == (1, 1)
    assert len(list(open_capture(path))) == 1


def test_of_a_test_that_failed_nothing_is_kept(
    proxy: SessionProxy, fetch: Callable[[str], int], origin: Callable[..., Origin], tmp_path: Path
) -> None:
    server, path = origin(), tmp_path / "b.har"
    proxy.begin_test(path, "record", "test_b", CaptureOptions())
    assert fetch(server.url) == 200
    assert proxy.end_test(keep=False) == 1
    assert not path.exists()
    for keep, kept in ((True, 1), (False, 1)):
        proxy.begin_test(path, "new", "test_b", CaptureOptions())
        fetch(f"{server.url}/{keep}")
        proxy.end_test(keep)
        assert count_entries(path) == kept


def test_it_is_known_why_recording_stopped(
    proxy: SessionProxy, fetch: Callable[[str], int], origin: Callable[..., Origin], tmp_path: Path
) -> None:
    path = tmp_path / "gone.har"
    proxy.begin_test(path, "record", "test_gone", CaptureOptions())
    assert fetch(origin().url) == 200
    path.unlink()
    assert proxy.end_test() == 0
    assert proxy.stopped == "the file was removed or replaced"
    proxy.begin_test(path, "record", "test_gone", CaptureOptions())
    assert proxy.end_test() == 0
    assert proxy.stopped == ""


def test_what_one_test_sets_is_not_set_for_the_next(
    proxy: SessionProxy, fetch: Callable[[str], int], origin: Callable[..., Origin], tmp_path: Path
) -> None:
    server = origin()
    for name, specs, field in (("c", ("header_rules=/~q/X-Own/1",), "1"), ("d", (), None)):
        proxy.begin_test(tmp_path / f"{name}.har", "record", name, CaptureOptions(set=specs))
        fetch(server.url)
        proxy.end_test()
        assert server.requests[-1].get("X-Own") == field


def test_what_cannot_be_is_said_and_the_next_test_goes_on(proxy: SessionProxy, tmp_path: Path) -> None:
    (tmp_path / "torn.har").write_text('{"log": {"version": "1.2", "entries": [\n{')
    for path, options in (
        (tmp_path / "torn.har", CaptureOptions()),
        (tmp_path / "e.har", CaptureOptions(set=("no_such=1",))),
    ):
        with pytest.raises(CaptureError):
            proxy.begin_test(path, "once", path.name, options)
        assert proxy.end_test() == 0
