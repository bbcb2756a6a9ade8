"""The chart: how many times as fast as stock mitmdump, on a logarithmic scale."""

from __future__ import annotations

import math
from xml.sax.saxutils import escape

from scripts.benchmark.report import Measured, Results

SHOWN = ["miss, 1 KiB, keep-alive", "hit, 1 KiB, keep-alive", "tunnel, down", "tunnel, set-up"]
COLOURS = {"stock": "#9aa0a6", "ours": "#1a73e8"}
PEER = "#d9a441"
LEFT, RIGHT, ROW, GAP = 170, 660, 18, 30


def as_svg(results: Results) -> str:
    """Draw horizontal bars, one group per scenario."""
    groups = [(name, _ratios(results[name])) for name in SHOWN if name in results]
    most = max((ratio for _, bars in groups for _, ratio in bars), default=10)
    parts: list[str] = []
    y = 34
    for name, bars in groups:
        parts.append(f'<text x="8" y="{y}" class="h">{escape(name)}</text>')
        for target, ratio in bars:
            y += ROW
            width = max(1.0, _position(ratio, most))
            colour = COLOURS.get(target, PEER)
            parts.append(f'<text x="{LEFT - 8}" y="{y}" text-anchor="end">{escape(target)}</text>')
            parts.append(f'<rect x="{LEFT}" y="{y - 11}" width="{width:.1f}" height="13" rx="2" fill="{colour}"/>')
            parts.append(f'<text x="{LEFT + width + 6:.1f}" y="{y}">{ratio:.3g}x</text>')
        y += GAP
    style = "text{font:12px system-ui,sans-serif;fill:#444}.h{font-weight:600;fill:#222}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{RIGHT + 80}" height="{y}" viewBox="0 0 {RIGHT + 80} {y}">'
        f'<style>{style}</style><rect width="100%" height="100%" fill="#fff"/>'
        '<text x="8" y="14">Times as fast as stock mitmdump, one core each (logarithmic)</text>'
        + "".join(parts)
        + "</svg>\n"
    )


def _ratios(targets: dict[str, Measured]) -> list[tuple[str, float]]:
    rates = {name: measured.rate for name, measured in targets.items()}
    shown = [name for name in rates if rates[name] and (name in COLOURS or not name.startswith("ours"))]
    return [(name, rates[name] / rates["stock"]) for name in shown] if rates.get("stock") else []


def _position(ratio: float, most: float) -> float:
    """Place a ratio between a third and the most."""
    low = math.log(1 / 3)
    return (math.log(max(ratio, 0.34)) - low) / (math.log(most) - low) * (RIGHT - LEFT)
