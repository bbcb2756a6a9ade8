"""Reads a policy file: a YAML mapping from option names to values (YAML 1.2, as mitmproxy's config.yaml).

Only the form is judged here; what an option takes is known where it is applied.
"""

import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent

from proxy_policies.addresses import without_credentials

FORBIDDEN = frozenset({"mode", "scripts", "confdir", "server", "policy_file"})
"""Options that decide how mitmproxy starts; a file read after that cannot."""

MAX_SIZE = 256 << 10
"""Characters: what a person writes is a hundredth of it."""
MAX_DEPTH = 8
"""Levels: options are lists of words at most, two."""
MAX_NODES = 20_000
"""Words, lists and aliases: a list of blocked hosts is a file of its own."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One option as the file has it; lines count from 1."""

    name: str
    value: Any
    line: int

    def refusal(self, reason: object, quoted: bool = True) -> ValueError:
        """Make the error that says where the entry is and what is wrong with it; a secret is not to be quoted."""
        shown = without_credentials(str(self.value)) if isinstance(self.value, str) else self.value
        value = f" {reprlib.repr(shown)}:" if quoted else ""
        return ValueError(f"line {self.line}, option {self.name}:{value} {reason}")


def read(text: str) -> dict[str, Entry]:
    """Read a policy file, by option name; raises ValueError with the line and what is wrong."""
    document = _load(text)
    if document is None:
        return {}
    if not isinstance(document, CommentedMap):
        raise ValueError("line 1: write one option per line, as in `cache_size: 64m`")
    lines = _lines(document)
    entries = [Entry(str(name), value, lines.get(name, 1)) for name, value in document.items()]
    for entry in entries:
        if entry.name in FORBIDDEN:
            raise ValueError(f"line {entry.line}, option {entry.name}: belongs on the command line, not in the file")
    return {entry.name: entry for entry in entries}


def _load(text: str) -> Any:
    if len(text) > MAX_SIZE:
        raise ValueError(f"more than {MAX_SIZE >> 10} KiB")
    try:
        _check_bounds(text)
        return YAML(typ="rt", pure=True).load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise ValueError(f"line {line}: {_first_line(error.problem or error.context or 'no YAML')}") from error
    except (YAMLError, ValueError, RecursionError, LookupError, TypeError, AttributeError) as error:
        # ruamel.yaml lets what a malformed scalar did to int(), date() and the like through
        raise ValueError(f"no YAML: {_first_line(str(error) or type(error).__name__)}") from error


def _check_bounds(text: str) -> None:
    """Raise YAMLError for a file too deep or too large to be read whole, which takes a call a level and seconds."""
    depth = 0
    for count, event in enumerate(YAML(typ="rt", pure=True).parse(text)):
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise MarkedYAMLError(problem=f"nested more than {MAX_DEPTH} deep", problem_mark=event.start_mark)
        if count > MAX_NODES:
            raise MarkedYAMLError(problem=f"more than {MAX_NODES} values", problem_mark=event.start_mark)


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]


def _lines(document: CommentedMap) -> Mapping[Any, int]:
    return {name: place[0] + 1 for name, place in (document.lc.data or {}).items()}
