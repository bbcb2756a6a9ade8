"""The Via field: the proxies that a message has passed (RFC 9110, section 7.6.3)."""

import functools
import re
import secrets

from proxy_policies.fields import TOKEN, Fields, split_list

AUTO = "auto"

_RECEIVED_BY = re.compile(rf"{TOKEN.pattern}(:\d{{1,5}})?")


@functools.cache
def instance_name() -> str:
    """Return a name unique to this instance: another one must not mistake our messages for its own."""
    return f"proxy-policies-{secrets.token_hex(4)}"


def parse_name(text: str) -> str:
    """Parse `via_name`: a name or host:port, `auto` for one unique to this instance, "" for none."""
    if text == AUTO:
        return instance_name()
    if text and not _RECEIVED_BY.fullmatch(text):
        raise ValueError(f"write a name such as proxy.example or proxy.example:8080, {AUTO}, or nothing for no Via")
    return text


def with_via(fields: Fields, name: str, http_version: str) -> Fields:
    """Add our name; the version is that of the received message, such as `HTTP/1.1`."""
    ours = f"{http_version.removeprefix('HTTP/')} {name}"
    before = fields.get("via")
    return fields.adding("Via", ours) if before is None else fields.replacing("Via", f"{before}, {ours}")


def lists(fields: Fields, name: str) -> bool:
    """Return whether Via has this name, so that the message has passed us before."""
    said = fields.get("Via")
    return said is not None and any(_received_by(member) == name.lower() for member in split_list(said))


def _received_by(member: str) -> str:
    parts = member.split()
    return parts[1].lower() if len(parts) > 1 else ""
