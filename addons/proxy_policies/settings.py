"""Declares, checks and reports every option.

An option is a `Setting` on a policy class, with the option's name. A policy reads the parsed value as an attribute; it
never parses in a hook:

    class Encoding:
        name = "encoding"
        encode_min_size = Setting("1k", parse_size, "Smallest body worth encoding.")

mitmproxy only gets `str`, `Sequence[str]` and switch options: an invalid `int` would silently end the script loader,
and leave the proxy running without policies.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any, Protocol, Self, overload

from mitmproxy import ctx, exceptions
from mitmproxy.addonmanager import Loader

from proxy_policies.addresses import without_credentials
from proxy_policies.log_lines import printable
from proxy_policies.options import command_line
from proxy_policies.options.parsers import (
    OneOf,
    as_text,
    coerce,
    is_secret,
    one_of,
    parse_duration,
    parse_size,
    parse_switch,
)
from proxy_policies.options.updates import batched_updates
from proxy_policies.start_up.starting import is_starting, start_errors
from proxy_policies.worker_number import worker_number

__all__ = [  # with the parsers, so that policies find all they need to declare options here
    "Policy",
    "Setting",
    "Settings",
    "as_text",
    "one_of",
    "parse_duration",
    "parse_size",
    "parse_switch",
    "reject",
    "settings_of",
]

logger = logging.getLogger(__name__)


class Setting[T]:
    """One option: its default as text, its parser, its help.

    The option's type is `Sequence[str]` if the default is a tuple, `bool` if it is parsed as a switch, else `str`.
    `single_process` says why the option cannot be used with several workers on one port.
    """

    def __init__(
        self, default: str | tuple[str, ...], parse: Callable[[Any], T], help: str, single_process: str = ""
    ) -> None:
        self.default = default
        self.parse = parse
        self.help = help
        self.single_process = single_process
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name
        # mitmproxy reads every listed attribute in search of commands: that would parse each default, and import
        # the modules this needs, even if the value is never used.
        owner.__dir__ = _without_computed  # type: ignore[assignment, method-assign]

    @overload
    def __get__(self, policy: None, owner: type) -> Self: ...
    @overload
    def __get__(self, policy: object, owner: type) -> T: ...
    def __get__(self, policy: object | None, owner: type) -> Self | T:
        """Return the default, parsed; once set, the policy's own attribute hides this descriptor."""
        if policy is None:
            return self
        value: T = vars(policy).setdefault(self.name, self.parse(self.default))
        return value

    def parse_override(self, text: bool | str | Sequence[str]) -> dict[str, T]:
        """Parse a value into its attribute; empty for the default, which is parsed when it is first read.

        So modules needed only for an unset option need not be imported. Raise ValueError.
        """
        if text == self.default_value:
            return {}
        if self.single_process and worker_number():
            raise ValueError(f"not with several workers: {self.single_process}")
        return {self.name: self.parse(text)}

    @property
    def is_list(self) -> bool:
        """Return whether the option is repeated to give several values."""
        return isinstance(self.default, tuple)

    @property
    def is_switch(self) -> bool:
        """Return whether the option is a switch, which mitmweb shows as a check box."""
        return self.parse is parse_switch

    @property
    def choices(self) -> Sequence[str] | None:
        """The words that the option accepts; None if it is not limited to some."""
        return self.parse.choices if isinstance(self.parse, OneOf) else None

    @property
    def default_value(self) -> bool | str | list[str]:
        """The default in mitmproxy's form."""
        return self.fit([self.default] if isinstance(self.default, str) else list(self.default))

    @property
    def typespec(self) -> Any:
        """The option's type in mitmproxy's form."""
        return Sequence[str] if self.is_list else bool if self.is_switch else str

    def fit(self, strings: list[str] | None, raw: Any = None) -> bool | str | list[str]:
        """Return a value in mitmproxy's form: see `coerce`. Raise ValueError."""
        value = coerce(strings, raw, self.is_list)
        return parse_switch(value) if self.is_switch and isinstance(value, str) else value


def _without_computed(policy: object) -> list[str]:
    """List a policy's attributes except those computed on access, including its settings."""
    members = [member for kind in type(policy).__mro__ for member in vars(kind).items()]
    computed = {name for name, value in members if isinstance(value, (Setting, property, cached_property))}
    return [name for name in object.__dir__(policy) if name not in computed]


class Policy(Protocol):
    """An addon with a name."""

    name: str


def settings_of(policy: object) -> Iterator[Setting[Any]]:
    """Return the settings declared on a policy's class."""
    for owner in type(policy).__mro__:
        yield from (value for value in vars(owner).values() if isinstance(value, Setting))


def reject(text: str) -> None:
    """Refuse the current options: at start by an error line, which ends mitmproxy; later by a rollback."""
    text = printable(text)
    if not is_starting():
        raise exceptions.OptionsError(text)
    if text not in start_errors():  # options from a policy file are configured twice
        logger.error(text)


class Settings:
    """Owns the options of a chain of policies; first in it, so that values are ready in policies' `configure`."""

    def __init__(self, policies: Iterable[Policy]) -> None:
        policies = tuple(policies)
        self.name = f"settings of {', '.join(policy.name for policy in policies)}"
        self._settings: dict[str, Setting[Any]] = {}
        self._owners: dict[str, list[object]] = {}
        for policy in policies:
            for setting in settings_of(policy):
                self._settings[setting.name] = setting
                self._owners.setdefault(setting.name, []).append(policy)

    def load(self, loader: Loader) -> None:
        """Declare the options, and convert their values from the command line and config.yaml.

        The command line wins; mitmproxy would let config.yaml override `--set`.
        """
        self._fit_deferred()
        with batched_updates(ctx.options):
            for name, setting in self._settings.items():
                loader.add_option(name, setting.typespec, setting.default_value, setting.help, setting.choices)

    def _fit_deferred(self) -> None:
        names = [name for name in self._settings if name in ctx.options.deferred]
        said = command_line.explicit_options() if names else command_line.ExplicitOptions()
        for name in names:
            deferred, strings = ctx.options.deferred[name], said.values_of(name)
            if strings is None:
                strings = getattr(deferred, "val", None)
            try:
                ctx.options.deferred[name] = self._settings[name].fit(strings, deferred)
            except ValueError as error:
                wrong = _quoted(name, strings[0]) if strings and len(strings) == 1 else ""
                logger.error(f"option {name}{wrong}: {error}")
                del ctx.options.deferred[name]

    def configure(self, updated: set[str]) -> None:
        """Parse changed options; none takes effect unless all are valid."""
        accepted: list[tuple[str, dict[str, Any]]] = []
        for name in sorted(updated & self._settings.keys()):
            text = getattr(ctx.options, name)
            try:
                accepted.append((name, self._settings[name].parse_override(text)))
            except ValueError as error:
                reject(f"option {name}{_quoted(name, text)}: {error}")
        for name, attribute in accepted:
            for policy in self._owners[name]:
                vars(policy).pop(name, None)
                vars(policy).update(attribute)


def _quoted(name: str, text: str | Sequence[str]) -> str:
    if is_secret(name):
        return ""
    shown = repr(text) if isinstance(text, str) else ", ".join(map(repr, text))
    return f"={without_credentials(shown)}"
