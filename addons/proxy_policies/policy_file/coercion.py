"""Converts a file's entries to the types of their options."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mitmproxy.optmanager import OptManager

from proxy_policies.log_lines import nearest
from proxy_policies.options.parsers import coerce, is_secret
from proxy_policies.policy_file.document import FileOption
from proxy_policies.settings import Setting
from proxy_policies.start_up.unknown_arguments import SIMILARITY


def coerce_all(
    entries: Iterable[FileOption], options: OptManager, settings: Mapping[str, Setting[Any]]
) -> dict[str, Any]:
    """Return the options' values by name. Raise ValueError for the first invalid entry.

    `settings` are our own options, which are parsed here so that an error can name the line.
    """
    return {entry.name: _value(entry, options, settings) for entry in entries}


def _value(entry: FileOption, options: OptManager, settings: Mapping[str, Setting[Any]]) -> Any:
    option = dict(options.items()).get(entry.name)
    if option is None:
        similar = nearest(entry.name, options.keys(), SIMILARITY)
        hint = f"; did you mean {similar}?" if similar else ""
        raise ValueError(f"line {entry.line}, option {entry.name}: no such option{hint}")
    setting = settings.get(entry.name)
    try:
        value = setting.fit(None, entry.value) if setting else to_type(entry.value, option.typespec)
        if option.choices and value not in option.choices:
            raise ValueError(f"choose one of {', '.join(option.choices)}")
        if setting:
            setting.parse(value)
    except ValueError as error:
        raise entry.error(error, quoted=not is_secret(entry.name)) from error
    return value


def to_type(value: Any, typespec: Any) -> Any:
    """Return a YAML value in an option's type. Raise ValueError that names the type."""
    if value is None and typespec in (str | None, int | None):
        return None
    if typespec in (str, str | None, Sequence[str]):
        return coerce(None, value, typespec == Sequence[str])
    if typespec is bool and not isinstance(value, bool):
        raise ValueError("write true or false")
    if typespec in (int, int | None) and (isinstance(value, bool) or not isinstance(value, int)):
        raise ValueError("write a whole number")
    return value
