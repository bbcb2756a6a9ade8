"""One of `header_rules`: `/flow-filter/[+|-]name[/value]`. Its value may contain placeholders such as `{client_ip}`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from mitmproxy import flowfilter

from proxy_policies.fields import TOKEN, Fields
from proxy_policies.rules import Rule, walk_filter

FRAMING = frozenset({"content-length", "transfer-encoding", "connection"})
"""Fields that determine where a message ends, and cannot be changed."""
PLACEHOLDERS = ("client_ip", "host", "method", "status", "cache")
"""Names that are replaced in braces; other text in braces is kept."""
UNKNOWN_IN_REQUESTS = ("status", "cache")

_PLACEHOLDER = re.compile(r"\{(" + "|".join(PLACEHOLDERS) + r")\}")
_UNSENDABLE = re.compile(r"[\r\n\0]")
"""Characters that a field value cannot contain (RFC 9110, section 5.5)."""


class FieldOperation(Enum):
    """The operation on the field lines of one name."""

    SET = ""
    ADD = "+"
    REMOVE = "-"


@dataclass(frozen=True, slots=True)
class HeaderRule:
    """One rule, for requests or for responses."""

    rule: Rule
    operation: FieldOperation
    name: str
    value: str
    on_requests: bool

    def apply(self, fields: Fields, facts: Mapping[str, str]) -> Fields:
        """Return the fields as changed by the rule."""
        match self.operation:
            case FieldOperation.REMOVE:
                return fields.without([self.name])
            case FieldOperation.ADD:
                return fields.adding(self.name, fill(self.value, facts))
            case FieldOperation.SET:
                return fields.replacing(self.name, fill(self.value, facts))


def read_rule(rule: Rule) -> HeaderRule:
    """Return a rule with its action parsed. Raise ValueError that quotes the rule."""
    separator, text = rule.spec[0], rule.action
    operation = FieldOperation(text[0]) if text[0] in "+-" else FieldOperation.SET
    name, has_value, value = text.removeprefix(operation.value).partition(separator)
    on_requests = any(isinstance(part, flowfilter.FReq) for part in walk_filter(rule.filter))
    if problem := _problem(operation, name, value if has_value else None, on_requests):
        raise ValueError(f"{rule.spec!r}: {problem}")
    return HeaderRule(rule, operation, name, value, on_requests)


def _problem(operation: FieldOperation, name: str, value: str | None, on_requests: bool) -> str:
    if not TOKEN.fullmatch(name):
        return f"{name!r} is not a valid field name; write /flow-filter/[+|-]name[/value]"
    if name.lower() in FRAMING:
        return f"{name} is set by the proxy"
    if operation is FieldOperation.REMOVE:
        return "" if value is None else "a field to remove takes no value"
    if value is None:
        return f"{name} lacks its value; put - before the name to remove the field"
    if not is_sendable(value):
        return "a value must not contain CR, LF or NUL"
    unknown = [found for found in placeholders(value) if on_requests and found in UNKNOWN_IN_REQUESTS]
    return f"{{{unknown[0]}}} is not known yet when rules for requests are applied" if unknown else ""


def placeholders(value: str) -> list[str]:
    """Return the names of the placeholders in a value."""
    return _PLACEHOLDER.findall(value)


def is_sendable(value: str) -> bool:
    """Return whether a text can be a field's value."""
    return not _UNSENDABLE.search(value)


def fill(value: str, facts: Mapping[str, str]) -> str:
    """Return a value with its placeholders replaced; unknown ones become empty."""
    return _PLACEHOLDER.sub(lambda match: _UNSENDABLE.sub("", facts.get(match[1], "")), value)
