"""Reading captures of all kinds: ours, foreign HARs, also compressed, cassettes of vcrpy, mitmproxy's flow files."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from proxy_policies.capture.errors import CaptureError
from proxy_policies.capture.formats.vcr_cassettes import is_cassette, read_cassette
from proxy_policies.capture.har import packed
from proxy_policies.capture.har.entry_index import EntryIndex
from proxy_policies.capture.har.reader import CaptureFile, framed_values, open_capture
from proxy_policies.capture.har.writer import new_log
from proxy_policies.capture.model import Entry
from proxy_policies.options.files import require_file_or_folder


def is_flow_file(path: Path) -> bool:
    """Return whether a file is a flow file: it starts with a netstring, a length and a colon."""
    with path.open("rb") as file:
        length, colon, _ = file.read(16).partition(b":")
    return bool(colon) and length.isdigit()


def open_source(path: Path) -> CaptureFile:
    """Open a capture of any kind. Raise CaptureError and OSError."""
    require_file_or_folder(path)
    if is_flow_file(path):

        def flows(_: list[str]) -> Iterator[Entry]:
            from proxy_policies.capture.formats.mitmproxy_flows import (
                read_flow_file,  # slow to import: only when needed
            )

            return read_flow_file(path)

        return CaptureFile(path, new_log(), framed=False, read=flows)
    if is_cassette(path):
        return CaptureFile(path, new_log(), framed=False, read=lambda problems: read_cassette(path, problems))
    return open_capture(path)


def open_any(path: Path, problems: list[str] | None = None) -> tuple[dict[str, Any], Iterator[Entry]]:
    """Return the log object and the entries of a capture of any kind. Raise CaptureError and OSError.

    Errors in entries are added to `problems` once all are read.
    """
    capture = open_source(path)
    return _with_format(capture.log), _read(capture, problems)


def open_by_time(path: Path, problems: list[str]) -> tuple[dict[str, Any], Iterator[Entry]]:
    """Return the log object and the entries sorted by the time of their requests. Raise CaptureError and OSError."""
    capture = open_source(path)
    return _with_format(capture.log), _by_time(capture, problems)


def _by_time(capture: CaptureFile, problems: list[str]) -> Iterator[Entry]:
    entries = EntryIndex(capture)
    problems += _problems_of(capture)
    yield from map(entries.__getitem__, entries.by_time())


def newest_first(path: Path) -> Iterator[Entry]:
    """Yield the entries of a capture of any kind from the last to the first. Raise CaptureError and OSError."""
    entries = EntryIndex(open_source(path))
    yield from map(entries.__getitem__, reversed(range(len(entries))))


def entry_values(path: Path) -> Iterator[Any] | None:
    """Return the entries of a capture that we wrote as JSON values; None for any other file."""
    return framed_values(path) if open_source(path).framed else None


def is_har(path: Path) -> bool:
    """Return whether a file is an uncompressed HAR, which can be rewritten in place."""
    return open_source(path).read is None and not packed.is_packed(path)


def _read(capture: CaptureFile, problems: list[str] | None) -> Iterator[Entry]:
    yield from capture
    if problems is not None:
        problems += _problems_of(capture)


def _problems_of(capture: CaptureFile) -> list[str]:
    return [f"{capture.path.name}: {problem}" for problem in capture.problems]


def _with_format(log: dict[str, Any]) -> dict[str, Any]:
    """Return a log object with our version of the format, if it has none."""
    return {**log, "_capture": log.get("_capture") or new_log()["_capture"]}


def same_key(logs: list[dict[str, Any]]) -> str:
    """Return the common key of captures, to merge them. Raise CaptureError if they have several."""
    keys = {str(log["_capture"].get("key", "")) for log in logs} - {""}
    if len(keys) > 1:
        raise CaptureError("the captures were redacted with different keys: the same secret has different placeholders")
    return next(iter(keys), "")


def merged_log(logs: list[dict[str, Any]], log: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """Return the log object of merged captures, and for each capture the new names of pages whose ids clash."""
    pages: list[Any] = []
    renamed: list[dict[str, str]] = []
    for number, one in enumerate(logs, 1):
        known = {str(page.get("id")): page for page in pages}
        own = [page for page in one.get("pages") or () if isinstance(page, dict)]
        ids = [str(page.get("id")) for page in own]
        names = {name: f"{name}-{number}" for name, page in zip(ids, own, strict=True) if known.get(name, page) != page}
        pages += [
            page | {"id": names.get(name, name)} for name, page in zip(ids, own, strict=True) if page not in pages
        ]
        renamed.append(names)
    first = {name: value for one in reversed(logs) for name, value in one.items() if name in ("browser", "comment")}
    return {**log, **first, **({"pages": pages} if pages else {})}, renamed
