"""Parsers of the options that hold sizes, durations and secrets. Each raises ValueError saying what is valid."""

from __future__ import annotations

from pathlib import Path

from proxy_policies.reverse_tunnel.limits import Limits
from proxy_policies.settings import parse_duration, parse_size

MIN_SECRET = 12  # characters; the key is stretched, but a short secret can be guessed by who sits between
MAX_SPARES = 16


def parse_limits(text: str) -> Limits:
    """Read `service=100,client=10,rate=10m`, or some of them."""
    found: dict[str, int] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if name not in ("service", "client", "rate") or not equals or name in found:
            raise ValueError("write service=SESSIONS,client=SESSIONS,rate=BYTES, or some of them")
        found[name] = parse_size(value)
    return Limits(**found)


def parse_heartbeat(text: str) -> float:
    """Read a heartbeat's interval in seconds."""
    seconds = parse_duration(text)
    if not 0.05 <= seconds <= 60:
        raise ValueError("a heartbeat takes between 50ms and 1m")
    return seconds


def parse_spares(text: str) -> int:
    """Read how many data connections to keep ready."""
    if not (text.isascii() and text.isdigit()) or int(text) > MAX_SPARES:
        raise ValueError(f"write a number from 0 to {MAX_SPARES}")
    return int(text)


def parse_secret(text: str) -> str:
    """Read a secret, or `@FILE`, a file that holds it."""
    secret = _read(Path(text[1:]).expanduser()) if text.startswith("@") else text.strip()
    if secret and len(secret) < MIN_SECRET:
        raise ValueError(f"a secret has {MIN_SECRET} characters or more; try `openssl rand -hex 16`")
    return secret


def _read(path: Path) -> str:
    try:
        secret = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"cannot read {path}: {error}") from None
    if not secret:
        raise ValueError(f"{path} is empty")
    return secret
