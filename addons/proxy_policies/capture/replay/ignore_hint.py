"""Suggests the `--ignore` options with which a request would match the nearest recording."""

import copy
import shlex
from collections.abc import Iterator
from typing import Any

from proxy_policies.capture.bodies import json_path
from proxy_policies.capture.bodies.json_path import PathStep
from proxy_policies.capture.replay.matching import RequestKey, parse_matching, without_paths

MAX_PATHS = 5  # if more values differ, the suggestion is to ignore the whole body


def ignores_for(recorded: RequestKey, got: RequestKey) -> list[str]:
    """Return the parts to ignore so that two requests match; empty if method or path differ."""
    if (recorded.method, recorded.path) != (got.method, got.path):
        return []
    found = ["host"] if recorded.origin != got.origin else []
    found += [f"query:{name}" for name in _differing_names(recorded.query, got.query)]
    found += [f"header:{name}" for name in _differing_names(recorded.headers, got.headers)]
    return [*found, *(_ignores_for_body(recorded.body, got.body) if recorded.body != got.body else ())]


def hint(recorded: RequestKey, got: RequestKey) -> str:
    """Return the options as text for a shell; empty if there are none."""
    return " ".join(f"--ignore {shlex.quote(spec)}" for spec in ignores_for(recorded, got))


def _differing_names(old: list[list[str]], new: list[list[str]]) -> list[str]:
    differing = [pair for pair in old if pair not in new] + [pair for pair in new if pair not in old]
    return list(dict.fromkeys(pair[0] for pair in differing))


def _ignores_for_body(old: Any, new: Any) -> list[str]:
    if not isinstance(old, list) or not isinstance(new, list) or old[0] != new[0]:
        return ["body"]
    if old[0] in ("form", "multipart"):
        return [f"form:{name}" for name in _differing_names(old[1], new[1])] or ["body"]
    found = list(dict.fromkeys(f"json:{json_path.write(steps)}" for steps in _differing_paths(old[1], new[1], ())))
    if old[0] != "json" or not found or len(found) > MAX_PATHS or "json:$" in found:
        return ["body"]
    matching = parse_matching(found)
    one, other = (without_paths(copy.deepcopy(value), matching) for value in (old[1], new[1]))
    return found if one == other else ["body"]


def _differing_paths(old: Any, new: Any, steps: tuple[PathStep, ...]) -> Iterator[tuple[PathStep, ...]]:
    """Yield the paths of values that differ; of an object or list whose members differ in number, its own path."""
    if isinstance(old, dict) and isinstance(new, dict) and old.keys() == new.keys():
        for name in old:
            yield from _differing_paths(old[name], new[name], (*steps, name))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for at, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from _differing_paths(one, other, (*steps, at))
    elif old != new:
        yield steps
