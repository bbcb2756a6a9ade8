"""Writes the results, as JSON and as Markdown."""

from __future__ import annotations

import os
import platform
import statistics
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from scripts.benchmark.scenarios import Scenario


@dataclass
class Measured:
    """One target in one scenario: a figure per round."""

    rates: list[float] = field(default_factory=list)
    """Units per second."""
    cpus: list[float] = field(default_factory=list)
    """CPU seconds per unit."""
    peak: int = 0
    """Peak resident memory, bytes."""
    error: str = ""

    @property
    def rate(self) -> float:
        """The median."""
        return statistics.median(self.rates) if self.rates else 0

    @property
    def cpu(self) -> float:
        """The median."""
        return statistics.median(self.cpus) if self.cpus else 0

    @property
    def spread(self) -> float:
        """How far the rounds are apart, of their median."""
        return (max(self.rates) - min(self.rates)) / self.rate if self.rate else 0


Results = dict[str, dict[str, Measured]]
"""By scenario, by target."""


def machine() -> dict[str, Any]:
    """Return what it ran on."""
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if "model name" in line
    ]
    return {
        "cores": os.cpu_count(),
        "processor": models[0] if models else platform.machine(),
        "system": platform.release(),
        "python": platform.python_version(),
        "date": time.strftime("%Y-%m-%d"),
        "load before": [round(x, 2) for x in os.getloadavg()],
    }


def as_json(results: Results, scenarios: list[Scenario], about: dict[str, Any]) -> dict[str, Any]:
    """Return all results, including those of each round."""
    units = {scenario.name: scenario.unit for scenario in scenarios}
    return {
        "about": about,
        "scenarios": {
            name: {"unit": units[name], "targets": {target: asdict(measured) for target, measured in targets.items()}}
            for name, targets in results.items()
        },
    }


def as_markdown(results: Results, scenarios: list[Scenario], about: dict[str, Any]) -> str:
    """Write a table per scenario; ratios are against stock, measured in the same rounds."""
    lines = [
        "# Benchmark",
        "",
        f"{about['cores']} cores ({about['processor']}), Python {about['python']}, {about['date']}; load before: "
        f"{about['load before'][0]}. Each target has one core to itself, rounds are interleaved, figures are medians, "
        "± is (max - min) / median. Ratios are against stock mitmdump in the same rounds.",
    ]
    for scenario in scenarios:
        if scenario.name in results:
            lines += ["", f"## {scenario.name}", "", *_table(results[scenario.name], scenario.unit)]
    return "\n".join(lines) + "\n"


def _table(targets: dict[str, Measured], unit: str) -> list[str]:
    stock = targets.get("stock", Measured())
    rows = [
        f"| | {unit}s/s | to stock | CPU per {unit} | to stock | peak MiB | ± |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, measured in targets.items():
        if measured.error:
            rows.append(f"| {name} | failed: {measured.error} | | | | | |")
            continue
        rows.append(
            f"| {name} | {_figure(measured.rate)} | {_ratio(measured.rate, stock.rate)} | {_seconds(measured.cpu)} "
            f"| {_ratio(measured.cpu, stock.cpu)} | {measured.peak / (1 << 20):.0f} | {measured.spread:.0%} |"
        )
    return rows


def _figure(value: float) -> str:
    return f"{value:,.0f}".replace(",", " ") if value >= 100 else f"{value:.3g}"


def _ratio(value: float, base: float) -> str:
    return f"{value / base:.3g}" if base else ""


def _seconds(value: float) -> str:
    return f"{value:.2f} s" if value >= 0.1 else f"{value * 1e6:.0f} µs"
