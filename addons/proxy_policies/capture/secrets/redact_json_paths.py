"""Redact the values that the user's JSONPaths select (RFC 9535)."""

import json
from typing import Any

from proxy_policies.capture.bodies import json_path
from proxy_policies.capture.secrets.decider import Decider
from proxy_policies.capture.secrets.placeholders import as_number


def in_json_paths(text: str, decider: Decider) -> str:
    """Return a JSON text with the selected values replaced; any other text, or one without such values, unchanged."""
    if not decider.rules.paths:
        return text
    try:
        return _redact_selected(text, decider)
    except RecursionError:
        return decider.hide(text, "json:")  # nested too deeply to be searched


def _redact_selected(text: str, decider: Decider) -> str:
    try:
        document = json.loads(text)
    except ValueError:
        return text
    found = [node for path in decider.rules.paths for node in path.finditer(document)]
    for node in found:
        hidden = _hidden(node.obj, decider)
        if not node.parts:
            return json.dumps(hidden, ensure_ascii=False)
        json_path.put(document, node.parts, hidden)  # no effect within a value that is already replaced
    return json.dumps(document, ensure_ascii=False) if found else text


def _hidden(value: Any, decider: Decider) -> Any:
    if value is None or isinstance(value, bool):
        return value
    hidden = decider.hide(value if isinstance(value, str) else json.dumps(value), "json:")
    return as_number(hidden) if isinstance(value, int | float) else hidden
