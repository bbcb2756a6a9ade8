"""Options: declared once, refused in one line, never half applied."""

from collections.abc import Sequence

import pytest
from mitmproxy import exceptions, optmanager
from mitmproxy.test import taddons

from proxy_policies.addon_chain import build_addons
from proxy_policies.settings import Setting, Settings, one_of, parse_size, parse_switch


def parse_colours(values: Sequence[str]) -> tuple[str, ...]:
    return tuple(one_of("red", "green")(value) for value in values)


class Paint:
    name = "paint"
    paint_size = Setting("1k", parse_size, "How much.")
    paint_colours = Setting(("red",), parse_colours, "Which.")


class Brush:
    name = "brush"
    brush_dry = Setting("off", parse_switch, "Without paint.")
    brush_form = Setting("flat", one_of("flat", "round"), "Its form.")


def test_a_policy_has_its_defaults_without_mitmproxy() -> None:
    assert (Paint().paint_size, Paint().paint_colours) == (1024, ("red",))


async def test_a_bad_value_is_refused_and_nothing_of_the_change_applies() -> None:
    paint = Paint()
    with taddons.context(Settings([paint])) as context:
        context.configure(context.master.addons.chain[-1], paint_size="2k", paint_colours=["green"])
        assert (paint.paint_size, paint.paint_colours) == (2048, ("green",))
        with pytest.raises(exceptions.OptionsError, match="option paint_size='lots': write a size"):
            context.options.update(paint_colours=["red"], paint_size="lots")
        assert (paint.paint_size, paint.paint_colours) == (2048, ("green",))
        assert context.options.paint_size == "2k"


async def test_switches_and_words_are_what_mitmweb_has_check_boxes_and_lists_for() -> None:
    brush = Brush()
    with taddons.context(Settings([brush])) as context:
        shown = optmanager.dump_dicts(context.options)
        assert [shown["brush_dry"][key] for key in ("type", "value", "choices")] == ["bool", False, None]
        assert [shown["brush_form"][key] for key in ("type", "value", "choices")] == ["str", "flat", ("flat", "round")]
        context.options.update(brush_dry=True)
        assert brush.brush_dry is True


@pytest.mark.parametrize("written", [["on"], ["true"]])
async def test_a_switch_may_be_written_both_ways(written: list[str]) -> None:
    assert Brush.brush_dry.fit(written) is True
    assert [Brush.brush_dry.fit(None, raw) for raw in (True, "on", "true")] == [True] * 3
    with pytest.raises(ValueError, match="choose one of off, on"):
        Brush.brush_dry.fit(["maybe"])


async def test_two_chains_with_the_same_policy_say_so() -> None:
    with taddons.context() as context:
        first = build_addons(Paint())
        context.master.addons.add(*first)
        with pytest.raises(exceptions.OptionsError, match="already loaded: paint"):
            build_addons(Paint())
        context.master.addons.get("patches").done()


async def test_a_second_script_brings_its_own_settings_and_shares_the_rest() -> None:
    class Other:
        name = "other"

    with taddons.context() as context:
        context.master.addons.add(*build_addons(Paint()))
        assert [policy.name for policy in build_addons(Other())] == [
            *("settings of other", "other"),
            "around scripts: settings of other, other",
        ]
        context.master.addons.get("patches").done()


async def test_a_default_is_parsed_when_it_is_first_read() -> None:
    parsed: list[str] = []

    def parse(text: str) -> str:
        parsed.append(text)
        return text.upper()

    class Lazy:
        name = "lazy"
        lazy_text = Setting("default", parse, "Some text.")

    lazy = Lazy()
    with taddons.context() as context:
        context.master.addons.add(*build_addons(lazy))
        assert parsed == []
        assert [lazy.lazy_text, lazy.lazy_text] == ["DEFAULT", "DEFAULT"]
        context.options.update(lazy_text="other")
        assert lazy.lazy_text == "OTHER"
        context.options.update(lazy_text="default")
        assert lazy.lazy_text == "DEFAULT"
        context.master.addons.get("patches").done()
    assert parsed == ["default", "other", "default"]


async def test_options_are_declared_as_one_change() -> None:
    changes: list[set[str]] = []

    class Watcher:
        def configure(self, updated: set[str]) -> None:
            changes.append(updated)

    with taddons.context(Watcher()) as context:
        changes.clear()
        context.master.addons.add(Settings([Paint()]))
        assert changes == [{"paint_size", "paint_colours"}]
        context.options.update(paint_size="2k")
        assert changes[1:] == [{"paint_size"}]
