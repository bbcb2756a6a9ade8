"""Declares, checks and reports every option.

An option is a `Setting` on a policy class, with the option's name. A policy reads the parsed value as an attribute; it
never parses in a hook:

    class Encoding:
        name = "encoding"
        encode_min_size = Setting("1k", parse_size, "Smallest body worth encoding.")

mitmproxy only gets `str`, `Sequence[str]` and switch options: an invalid `int` would silently end the script loader,
and leave the proxy running without policies.
"""

import asyncio
import contextlib
import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any, Protocol, Self, overload

from mitmproxy import ctx, exceptions
from mitmproxy.addonmanager import Loader
from mitmproxy.optmanager import OptManager

from proxy_policies import cli_options
from proxy_policies.addresses import without_credentials
from proxy_policies.log_lines import printable
from proxy_policies.option_parsers import OneOf, as_text, one_of, parse_duration, parse_size, parse_switch
from proxy_policies.worker_number import worker_number

__all__ = [  # with the parsers, so that policies find all they need to declare options here
    "SECRET_MARKERS",
    "Policy",
    "Setting",
    "Settings",
    "as_text",
    "batched_updates",
    "coerce",
    "is_secret",
    "is_starting",
    "one_of",
    "override",
    "parse_duration",
    "parse_size",
    "parse_switch",
    "reject",
    "scalar_text",
    "set_specs",
    "settings_of",
    "start_errors",
    "started",
]

logger = logging.getLogger(__name__)

POLL = 0.01
"""Seconds between checks whether start-up is over: mitmproxy has no event for it."""


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


def override(**values: Any) -> Callable[[], None]:
    """Set mitmproxy options and return a function that restores them, except those changed in the meantime.

    An option that was not set explicitly is then again not set explicitly.
    """
    before = {name: (vars(ctx.options)["_options"][name].value, getattr(ctx.options, name)) for name in values}
    ctx.options.update(**values)

    def restore() -> None:
        ours = [name for name, value in values.items() if getattr(ctx.options, name) == value]
        ctx.options.update(**{name: before[name][1] for name in ours})
        for name in ours:
            vars(ctx.options)["_options"][name].value = before[name][0]

    return restore


def reject(text: str) -> None:
    """Refuse the current options: at start by an error line, which ends mitmproxy; later by a rollback."""
    text = printable(text)
    if is_starting():
        logger.error(text)
    else:
        raise exceptions.OptionsError(text)


def is_starting() -> bool:
    """Return whether mitmproxy is starting: until it is done, any logged error ends it."""
    watch = ctx.master.addons.get("errorcheck")
    return watch is not None and watch.logger in logging.getLogger().handlers


async def started() -> None:
    """Wait until every `running` hook has finished and logged errors no longer end mitmproxy.

    mitmproxy starts listening before that. A client that connects then would meet addons that are not ready (without a
    certificate store, for example), and a resulting error would end the process.
    """
    while is_starting():  # noqa: ASYNC110
        await asyncio.sleep(POLL)


def start_errors() -> list[str]:
    """Return the errors with which mitmproxy's start will fail, formatted; none if it is over, or fine so far."""
    if not is_starting():
        return []
    watch = ctx.master.addons.get("errorcheck").logger
    return [watch.format(record) for record in watch.has_errored]


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
        said = (
            cli_options.parse_command_line(type(ctx.master).__name__, sys.argv[1:], ctx.options)
            if names
            else cli_options.ExplicitOptions()
        )
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


@contextlib.contextmanager
def batched_updates(options: OptManager) -> Iterator[None]:
    """Report the changes in the block as one: mitmproxy would notify every addon of each declared option."""
    names: set[str] = set()
    vars(options.changed)["send"] = lambda updated: names.update(updated)
    try:
        yield
    finally:
        del vars(options.changed)["send"]
    options.changed.send(updated=names)


SECRET_MARKERS = ("secret", "auth", "pass", "token", "purge")
"""Parts of option names whose values are never shown."""


def is_secret(name: str) -> bool:
    """Return whether an option's value must not be shown, going by its name."""
    return any(part in name for part in SECRET_MARKERS)


def set_specs(options: OptManager, specs: Iterable[str]) -> None:
    """Set options as `--set` does, also accepting `on` and `off` for switches. Raise OptionsError."""
    options.set(*(_as_mitmproxy_has_it(options, spec) for spec in specs))


def _as_mitmproxy_has_it(options: OptManager, spec: str) -> str:
    name, _, value = spec.partition("=")
    option = dict(options.items()).get(name)
    is_word = option is not None and option.typespec is bool and value in ("on", "off")
    return f"{name}={str(value == 'on').lower()}" if is_word else spec


def _quoted(name: str, text: str | Sequence[str]) -> str:
    if is_secret(name):
        return ""
    shown = repr(text) if isinstance(text, str) else ", ".join(map(repr, text))
    return f"={without_credentials(shown)}"


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
