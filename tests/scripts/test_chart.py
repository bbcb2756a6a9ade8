"""The chart of scripts/bench: what is in it is what was measured, and it is drawn from what is saved."""

import re
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest
from scripts.benchmark import chart
from scripts.benchmark.report import Measured

RESULTS = Path(chart.__file__).parent / "results"


def results(**rates: float) -> dict[str, dict[str, Measured]]:
    return {chart.SHOWN[0]: {name: Measured(rates=[rate], cpus=[1.0]) for name, rate in rates.items()}}


def bars(svg: str) -> list[tuple[float, float, str]]:
    found = re.findall(r'<rect x="([\d.]+)" y="\d+" width="([\d.]+)" height="12" class="(\w+)"/>', svg)
    return [(float(x), float(x) + float(width), kind) for x, width, kind in found][len(chart.KINDS) :]


def test_bars_begin_at_the_line_of_stock_mitmdump() -> None:
    svg = chart.as_svg(results(stock=100, ours=1000, slow=50, **{"ours, cache=off": 7.0}))
    one = float(re.findall(r'<line x1="([\d.]+)"[^>]* class="one"/>', svg)[0])
    stock, ours, slow = bars(svg)
    assert stock[0] == pytest.approx(one, abs=0.1)
    assert ours[0] == pytest.approx(one, abs=0.1)
    assert ours[1] > one > slow[0]
    assert slow[1] == pytest.approx(one, abs=0.1)
    assert [kind for *_, kind in (stock, ours, slow)] == ["stock", "ours", "peer"]
    assert "cache=off" not in svg


@pytest.mark.parametrize("ratio", [1e-9, 1e9])
def test_what_is_beyond_the_scale_stands_at_its_end(ratio: float) -> None:
    for start, end, _ in bars(chart.as_svg(results(stock=1.0, ours=ratio))):
        assert chart.LEFT <= start <= end <= chart.RIGHT + 2


def test_it_fits_light_and_dark_and_says_what_colours_mean() -> None:
    svg = chart.as_svg(results(stock=1.0, ours=2.0))
    assert ElementTree.fromstring(svg).tag.endswith("svg")
    assert "prefers-color-scheme:dark" in svg
    assert all(text in svg for text in chart.KINDS.values())


def test_without_results_there_is_nothing_to_draw() -> None:
    assert bars(chart.as_svg({})) == bars(chart.as_svg({chart.SHOWN[0]: {"ours": Measured()}})) == []


def test_the_chart_is_that_of_the_saved_results(tmp_path: Path) -> None:
    shutil.copy(RESULTS / "bench.json", tmp_path)
    chart.redraw(tmp_path)
    assert (tmp_path / "bench.svg").read_text() == (RESULTS / "bench.svg").read_text()
