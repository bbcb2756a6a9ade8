"""Draws the chart: how many times as fast as stock mitmdump, on a logarithmic scale.

`python -m scripts.benchmark.chart FOLDER` draws bench.svg again from the bench.json of a folder.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from xml.sax.saxutils import escape

from scripts.benchmark.report import Measured, Results

SHOWN = ["miss, 1 KiB, keep-alive", "hit, 1 KiB, keep-alive", "tunnel, down", "tunnel, set-up"]
OURS = "ours"
NAMES = {OURS: "proxy-policies", "stock": "mitmdump alone", "home/work, TLS": "reverse tunnel, TLS"}
"""Names of targets in the chart; others have their own."""
LEFT_OUT = ("ours, ", "home/work, plain")
KINDS = {"ours": "proxy-policies", "stock": "mitmdump alone", "peer": "other programs"}
"""The legend, by the class that gives the colour."""
TICKS = (0.3, 1, 3, 10, 30, 100)
SCALE = (0.3, 130)
"""Times as fast, at the left end and at the right."""
LEFT, RIGHT, WIDTH, ROW, HEAD = 150, 680, 740, 18, 62
STYLE = """
text{font:12px system-ui,sans-serif;fill:#444}.h{font-weight:600;fill:#222}.tick{fill:#666;text-anchor:middle}
.page{fill:#fff}.grid{stroke:#ddd}.one{stroke:#444;stroke-width:1.5}
.ours{fill:#1a73e8}.stock{fill:#80868b}.peer{fill:#d9a441}
@media(prefers-color-scheme:dark){text{fill:#bbb}.h{fill:#eee}.tick{fill:#999}.page{fill:#0d1117}.grid{stroke:#30363d}
.one{stroke:#bbb}.ours{fill:#6ea8fe}.stock{fill:#9aa0a6}}
"""


def as_svg(results: Results) -> str:
    """Draw horizontal bars from the line of stock mitmdump, one group per scenario, under a legend."""
    parts: list[str] = []
    y = HEAD
    for name in SHOWN:
        if bars := _ratios(results.get(name, {})):
            y += ROW + 12
            parts.append(f'<text x="8" y="{y}" class="h">{escape(name)}</text>')
            for target, ratio in bars:
                y += ROW
                parts.append(_bar(target, ratio, y))
    bottom = y + 10
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{bottom + 24}" '
        f'viewBox="0 0 {WIDTH} {bottom + 24}" role="img" aria-label="Times as fast as mitmdump alone">'
        f'<style>{STYLE}</style><rect width="100%" height="100%" class="page"/>'
        '<text x="8" y="16" class="h">Times as fast as mitmdump alone, one core each (logarithmic scale)</text>'
        f"{_legend(38)}{_axis(HEAD, bottom)}{''.join(parts)}</svg>\n"
    )


def _ratios(targets: dict[str, Measured]) -> list[tuple[str, float]]:
    stock = targets["stock"].rate if "stock" in targets else 0
    shown = [name for name in targets if targets[name].rate and not name.startswith(LEFT_OUT)]
    return [(name, targets[name].rate / stock) for name in shown] if stock else []


def _bar(target: str, ratio: float, y: int) -> str:
    start, end = sorted((_position(1), _position(ratio)))
    kind = "stock" if target == "stock" else "ours" if target == OURS or target.startswith("home/work") else "peer"
    return (
        f'<text x="{LEFT - 8}" y="{y}" text-anchor="end">{escape(NAMES.get(target, target))}</text>'
        f'<rect x="{start:.1f}" y="{y - 10}" width="{max(2.0, end - start):.1f}" height="12" class="{kind}"/>'
        f'<text x="{end + 6:.1f}" y="{y}">{ratio:.3g}x</text>'
    )


def _legend(y: int) -> str:
    parts, x = [], 8
    for kind, text in KINDS.items():
        parts.append(f'<rect x="{x}" y="{y - 10}" width="12" height="12" class="{kind}"/>')
        parts.append(f'<text x="{x + 18}" y="{y}">{text}</text>')
        x += 40 + 7 * len(text)
    return "".join(parts)


def _axis(top: int, bottom: int) -> str:
    parts = []
    for tick in TICKS:
        x = f"{_position(tick):.1f}"
        line = "one" if tick == 1 else "grid"
        parts.append(f'<line x1="{x}" x2="{x}" y1="{top + 6}" y2="{bottom}" class="{line}"/>')
        parts += [f'<text x="{x}" y="{y}" class="tick">{tick:g}x</text>' for y in (top, bottom + 16)]
    return "".join(parts)


def _position(ratio: float) -> float:
    """Return a ratio's place on the scale, within its ends."""
    low, high = map(math.log, SCALE)
    return LEFT + (min(max(math.log(ratio), low), high) - low) / (high - low) * (RIGHT - LEFT)


def redraw(folder: Path) -> None:
    """Draw bench.svg again from what is in bench.json."""
    saved = json.loads((folder / "bench.json").read_text())["scenarios"]
    results = {
        name: {target: Measured(**measured) for target, measured in scenario["targets"].items()}
        for name, scenario in saved.items()
    }
    (folder / "bench.svg").write_text(as_svg(results))


if __name__ == "__main__":
    redraw(Path(sys.argv[1]))
