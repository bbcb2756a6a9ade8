"""Converts the values of options from the command line and from YAML, and tells which are secret. Pure."""

from typing import Any

SECRET_MARKERS = ("secret", "auth", "pass", "token", "purge")
"""Parts of option names whose values are never shown."""


def is_secret(name: str) -> bool:
    """Return whether an option's value must not be shown, going by its name."""
    return any(part in name for part in SECRET_MARKERS)


def coerce(strings: list[str] | None, raw: Any, is_list: bool) -> str | list[str]:
    """Convert a deferred value to an option's type.

    `strings` are the values of repeated `--set name=value`; None if the value is from YAML, where it is `raw` and may
    be any scalar or list. Raise ValueError.
    """
    if strings is None:
        values = raw if isinstance(raw, list | tuple) else [raw]
        strings = [scalar_text(value) for value in values]
    if is_list:
        return strings
    if len(strings) != 1:
        raise ValueError("needs a value" if not strings else f"takes one value, not {len(strings)}")
    return strings[0]


def scalar_text(value: Any) -> str:
    """Return a YAML scalar as the text of an option. Raise ValueError for anything else."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, str | int | float):
        return str(value)
    raise ValueError(f"{value!r} is neither text nor a number")
