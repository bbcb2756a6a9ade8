"""What is measured, as data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.benchmark import load
from scripts.benchmark.load import Done, Route

GIB = 1 << 30
KIB = 1 << 10


@dataclass(frozen=True)
class Occasion:
    """What a scenario is given: the way to the target, the seconds it may take, and the target's folder."""

    route: Route
    seconds: float
    folder: Path
    scale: float
    """1 for a whole run, less for a quick one: multiplies sizes and counts."""
    restart: Callable[[], float]
    """Ends the target and starts it anew; gives the seconds until it takes connections."""

    @property
    def authority(self) -> Path:
        """The certificate that a client of inspected hosts trusts."""
        return self.folder / "mitmproxy-ca-cert.pem"


@dataclass(frozen=True)
class Scenario:
    """A load with a name. Roles in order of preference: the first that a target has is used."""

    name: str
    roles: tuple[str, ...]
    unit: str
    run: Callable[[Occasion], Done]
    needs: str = ""
    """`cache` or `inspect`: only for targets that do; `ours`: only for ourselves."""
    is_quick: bool = False
    warm_up: bool = True
    rounds: int | None = None
    """How often to measure it, if not as often as the others."""

    @property
    def origin(self) -> str:
        """Which origin stands behind the targets: `http`, `https` or `tunnel`."""
        return {"tunnel": "tunnel", "inspect": "https"}.get(self.roles[0], "http")


def _requests(path: str, **keywords: Any) -> Callable[[Occasion], Done]:
    def run(at: Occasion) -> Done:
        return load.requests(at.route, path, at.seconds, **keywords)

    return run


def _transfer(size: int, **keywords: Any) -> Callable[[Occasion], Done]:
    def run(at: Occasion) -> Done:
        return load.transfer(at.route, int(size * at.scale), **keywords)

    return run


def _start_up(at: Occasion) -> Done:
    """Start the target, again and again; only the time until it has answered a request counts."""
    starts: list[float] = []
    while sum(starts) < at.seconds * at.scale:
        starts.append(at.restart() + load.first_answer(at.route, "/miss/1024/x"))
    return Done(len(starts), sum(starts))


def _memory(at: Occasion) -> Done:
    """Ask for 100 000 different URLs; what matters afterwards is the peak of memory."""
    total, seconds = 0.0, 0.0
    while total < 100_000 * at.scale:
        done = load.requests(at.route, f"/hit/1024/{total:.0f}-", 5, distinct=True)  # none of them a second time
        total, seconds = total + done.units, seconds + done.seconds
    return Done(total, seconds)


HTTP = ("reverse", "forward")
TUNNEL = ("tunnel", "splice")

SCENARIOS = [
    Scenario("miss, 1 KiB, keep-alive", HTTP, "request", _requests("/miss/1024/x"), is_quick=True),
    Scenario("miss, 1 KiB, new connections", HTTP, "request", _requests("/miss/1024/x", reuse=False)),
    Scenario("miss, 100 KiB, keep-alive", HTTP, "request", _requests("/miss/102400/x")),
    Scenario("miss, 100 MiB", HTTP, "request", _requests("/miss/104857600/x", connections=2)),
    Scenario("hit, 1 KiB, keep-alive", HTTP, "request", _requests("/hit/1024/x"), "cache", is_quick=True),
    Scenario("hit, 1 KiB, new connections", HTTP, "request", _requests("/hit/1024/x", reuse=False), "cache"),
    Scenario("hit, 100 KiB, keep-alive", HTTP, "request", _requests("/hit/102400/x"), "cache"),
    Scenario("tunnel, down", TUNNEL, "GiB", _transfer(2 * GIB), is_quick=True),
    Scenario("tunnel, up", TUNNEL, "GiB", _transfer(2 * GIB, up=True)),
    Scenario("tunnel, 8 in parallel", TUNNEL, "GiB", _transfer(2 * GIB, parallel=8)),
    Scenario("tunnel, round trip", TUNNEL, "round trip", lambda at: load.round_trips(at.route, int(3000 * at.scale))),
    Scenario("tunnel, set-up", TUNNEL, "tunnel", lambda at: load.set_ups(at.route, at.seconds), is_quick=True),
    Scenario(
        "inspected TLS, miss, 1 KiB",
        ("inspect",),
        "request",
        lambda at: load.inspected(at.route, at.authority, "/miss/1024/x", at.seconds),
        "inspect",
    ),
    *(
        Scenario(
            f"encode, {coding}, 100 KiB of HTML",
            HTTP,
            "request",
            _requests("/html/102400/", distinct=True, fields=(f"Accept-Encoding: {coding}",)),
            "ours",
        )
        for coding in ("gzip", "br", "zstd")
    ),
    Scenario("start-up", HTTP, "start", _start_up, "ours", is_quick=True),
    Scenario("memory, 100 000 URLs", HTTP, "request", _memory, "ours", warm_up=False, rounds=1),
]
