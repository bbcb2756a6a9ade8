"""Reads a policy file: a YAML mapping from option names to values (YAML 1.2, as mitmproxy's config.yaml).

Only the file's form is checked here; the values are checked when they are applied.
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
"""Options that mitmproxy reads before the file is."""

MAX_SIZE = 256 << 10
"""Characters; a file written by a person has a hundredth of it."""
MAX_DEPTH = 8
"""Levels; two are needed, for a list of words."""
MAX_NODES = 20_000
"""Scalars, lists and aliases."""


@dataclass(frozen=True, slots=True)
class FileOption:
    """One option in the file; lines count from 1."""

    name: str
    value: Any
    line: int

    def error(self, reason: object, quoted: bool = True) -> ValueError:
        """Return the error with the entry's line, its value unless it is a secret, and the reason."""
        shown = without_credentials(str(self.value)) if isinstance(self.value, str) else self.value
        value = f" {reprlib.repr(shown)}:" if quoted else ""
        return ValueError(f"line {self.line}, option {self.name}:{value} {reason}")


def read(text: str) -> dict[str, FileOption]:
    """Return the entries of a policy file by option name. Raise ValueError with the line and the reason."""
    document = _load(text)
    if document is None:
        return {}
    if not isinstance(document, CommentedMap):
        raise ValueError("line 1: write one option per line, as in `cache_size: 64m`")
    lines = _lines(document)
    entries = [FileOption(str(name), value, lines.get(name, 1)) for name, value in document.items()]
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
        raise ValueError(f"line {line}: {_first_line(error.problem or error.context or 'invalid YAML')}") from error
    except (YAMLError, ValueError, RecursionError, LookupError, TypeError, AttributeError) as error:
        # ruamel.yaml does not catch what int(), date() and others raise on a malformed scalar
        raise ValueError(f"invalid YAML: {_first_line(str(error) or type(error).__name__)}") from error


def _check_bounds(text: str) -> None:
    """Raise YAMLError for a file nested too deep or with too many values: loading it recurses, and takes seconds."""
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
