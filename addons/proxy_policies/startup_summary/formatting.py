"""The lines logged at start, from the options."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from proxy_policies.addresses import without_credentials
from proxy_policies.certificates.authority import RENEWAL_PERIOD
from proxy_policies.certificates.own_folder import certs_command
from proxy_policies.log_lines import quantity

FORWARDING = ("regular", "upstream", "socks5", "transparent", "local", "wireguard", "tun")
"""The modes in which clients choose the hosts of their HTTPS connections."""
OVERRIDING_OPTIONS = ("ignore_hosts", "allow_hosts", "tcp_hosts")
"""mitmproxy's own options, which take precedence over `inspect_hosts`."""


def summary_lines(options: Mapping[str, Any], certificate: str) -> Iterator[str]:
    """Return the lines; `certificate` is the file that clients of opened hosts must trust."""
    active = [
        text
        for name, describe in FORMATTERS.items()
        if (value := options.get(name)) and (text := describe(value, options))
    ]
    if active:
        yield f"policies: {'; '.join(active)}"
    if (
        "inspect_hosts" in options
        and forwards(options["mode"])
        and not any(options.get(name) for name in OVERRIDING_OPTIONS)
    ):
        yield inspection(options["inspect_hosts"], certificate)


def warning_of_end(end: datetime, now: datetime, certificate: Path) -> str:
    """Return the warning that the authority for opened hosts expires soon, or has expired; "" if it does not."""
    if end - now > RENEWAL_PERIOD:
        return ""
    verb = "expired" if end <= now else "expires"
    command = f"{certs_command(certificate.parent)} make --force"
    return f"the authority {certificate} {verb} on {end:%Y-%m-%d}: {command} makes another"


def warning_of_key(certificate: Path) -> str:
    """Return the warning that the authority's key and certificate do not match."""
    command = f"{certs_command(certificate.parent)} make --force"
    return f"the key beside {certificate} does not match it: {command} makes a new authority"


def forwards(modes: Sequence[str]) -> bool:
    """Return whether in any of these modes clients choose the hosts."""
    return any(mode.partition(":")[0].partition("@")[0] in FORWARDING for mode in modes)


def inspection(globs: Sequence[str], certificate: str) -> str:
    """Return the line on which hosts' HTTPS is opened."""
    if not globs:
        return "HTTPS passes through untouched; --set inspect_hosts='*' opens it"
    opened = ", ".join(glob for glob in globs if not glob.startswith("!"))
    excluded = ", ".join(glob.removeprefix("!") for glob in globs if glob.startswith("!"))
    untouched = " and ".join([*([excluded] if excluded else []), *([] if "*" in globs else ["any other"])])
    others = f", {untouched} passes through untouched" if untouched else ""
    return f"HTTPS of {opened} is opened{others}; clients must trust {certificate}"


def _cache(where: str, options: Mapping[str, Any]) -> str:
    if where.partition(":")[0] in ("redis", "rediss", "valkey"):  # limited by its own maxmemory
        return f"cache in {without_credentials(where)}"
    return "" if where == "off" else f"cache of {options['cache_size']} in {where}"


def _encode(codings: Sequence[str], _: Mapping[str, Any]) -> str:
    return "" if "off" in codings else f"compression ({', '.join(codings)})"


def _rules(rules: Sequence[str], _: Mapping[str, Any]) -> str:
    return quantity(len(rules), "header rule")


def _named(text: str) -> Callable[[str, Mapping[str, Any]], str]:
    return lambda value, _: f"{text} {value}"


FORMATTERS: dict[str, Callable[[Any, Mapping[str, Any]], str]] = {
    "policy_file": _named("options from"),
    "header_rules": _rules,
    "replay_file": _named("every response from"),
    "cache": _cache,
    "encode": _encode,
    "capture_file": _named("recording into"),
}
