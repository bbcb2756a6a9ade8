"""Changes mitmproxy's options: for a while, as `--set` does, or many at once."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from mitmproxy import ctx
from mitmproxy.optmanager import OptManager


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


def set_specs(options: OptManager, specs: Iterable[str]) -> None:
    """Set options as `--set` does, also accepting `on` and `off` for switches. Raise OptionsError."""
    options.set(*(_as_mitmproxy_has_it(options, spec) for spec in specs))


def _as_mitmproxy_has_it(options: OptManager, spec: str) -> str:
    name, _, value = spec.partition("=")
    option = dict(options.items()).get(name)
    is_word = option is not None and option.typespec is bool and value in ("on", "off")
    return f"{name}={str(value == 'on').lower()}" if is_word else spec


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
