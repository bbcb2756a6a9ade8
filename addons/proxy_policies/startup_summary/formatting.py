"""What a start says, made from the options it was started with."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from proxy_policies.addresses import without_credentials
from proxy_policies.script_paths import own_command

FORWARDING = ("regular", "upstream", "socks5", "transparent", "local", "wireguard", "tun")
"""The modes in which a client's HTTPS is a tunnel to a host it chose, to be left untouched or opened."""
SOON = timedelta(days=30)  # Let's Encrypt renews that long before the end
OVERRIDING_OPTIONS = ("ignore_hosts", "allow_hosts", "tcp_hosts")
"""mitmproxy's own options that decide before `inspect_hosts` does."""


def summary_lines(options: Mapping[str, Any], certificate: str) -> Iterator[str]:
    """Return the lines; `certificate` is the file that clients of opened hosts must trust."""
    working = [
        text for name, tell in FORMATTERS.items() if (value := options.get(name)) and (text := tell(value, options))
    ]
    if working:
        yield f"policies: {'; '.join(working)}"
    if (
        "inspect_hosts" in options
        and forwards(options["mode"])
        and not any(options.get(name) for name in OVERRIDING_OPTIONS)
    ):
        yield inspection(options["inspect_hosts"], certificate)


def warning_of_end(end: datetime, now: datetime, certificate: str) -> str:
    """Return that the authority that signs for opened hosts ends soon, or has; "" when it does not."""
    if end - now > SOON:
        return ""
    verb = "ended" if end <= now else "ends"
    return f"the authority {certificate} {verb} on {end:%Y-%m-%d}: {own_command()} certs make --force makes another"


def warning_of_key(certificate: str) -> str:
    """Return that no client can believe the authority."""
    return f"the key beside {certificate} is another one's: {own_command()} certs make --force makes a new authority"


def forwards(modes: Sequence[str]) -> bool:
    """Return whether any of these modes takes clients to hosts of their choice."""
    return any(mode.partition(":")[0].partition("@")[0] in FORWARDING for mode in modes)


def inspection(globs: Sequence[str], certificate: str) -> str:
    """Return which HTTPS is opened."""
    if not globs:
        return "HTTPS passes through untouched; --set inspect_hosts='*' opens it"
    opened = ", ".join(glob for glob in globs if not glob.startswith("!"))
    excluded = ", ".join(glob.removeprefix("!") for glob in globs if glob.startswith("!"))
    untouched = " and ".join([*([excluded] if excluded else []), *([] if "*" in globs else ["any other"])])
    others = f", {untouched} passes through untouched" if untouched else ""
    return f"HTTPS of {opened} is opened{others}; clients must trust {certificate}"


def _cache(where: str, options: Mapping[str, Any]) -> str:
    if where.partition(":")[0] in ("redis", "rediss", "valkey"):  # whose own maxmemory counts
        return f"cache in {without_credentials(where)}"
    return "" if where == "off" else f"cache of {options['cache_size']} in {where}"


def _encode(codings: Sequence[str], _: Mapping[str, Any]) -> str:
    return "" if "off" in codings else f"compression ({', '.join(codings)})"


def _rules(rules: Sequence[str], _: Mapping[str, Any]) -> str:
    return f"{len(rules)} header rule{'s' * (len(rules) > 1)}"


def _named(text: str) -> Callable[[str, Mapping[str, Any]], str]:
    return lambda value, _: f"{text} {value}"


FORMATTERS: dict[str, Callable[[Any, Mapping[str, Any]], str]] = {
    "policy_file": _named("options from"),
    "header_rules": _rules,
    "replay_file": _named("every answer from"),
    "cache": _cache,
    "encode": _encode,
    "capture_file": _named("recording into"),
}
