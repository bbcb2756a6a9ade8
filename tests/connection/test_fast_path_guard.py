"""Ways around mitmproxy's layers are closed unless every addon with a say in them has no objection.

Which modes' clients the fast ways may serve at all."""

from collections.abc import Iterator
from typing import Any

import pytest
from mitmproxy import http
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.proxy.mode_specs import ProxyMode
from mitmproxy.test import taddons

from proxy_policies.connection.fast_path_guard import (
    EVENTS,
    MITMPROXY_OPTIONS,
    closed_by,
    open_paths,
    paths_of,
    speaks_http,
)
from proxy_policies.dispatch.dispatcher import HookTable
from proxy_policies.fast_paths import PATHS


def addon(**facts: Any) -> Any:
    """Make an addon that the bundle does not know."""
    return type("Unknown", (), {"name": "unknown", **facts})()


@pytest.fixture
def context() -> Iterator[taddons.context]:
    with taddons.context(Proxyserver()) as context:
        yield context


def is_open(context: taddons.context, path: str, *addons: Any) -> bool:
    context.master.addons.add(*addons)
    return path in open_paths(HookTable(context.master.addons))


@pytest.mark.parametrize("path", PATHS)
def test_open_without_other_addons(context: taddons.context, path: str) -> None:
    assert is_open(context, path, addon(running=lambda self: None, update=lambda self, flows: None))


@pytest.mark.parametrize(
    ("path", "option", "value"),
    [
        ("hits", "flow_detail", 2),
        ("tunnels", "connection_strategy", "lazy"),
        ("exchanges", "validate_inbound_headers", False),
    ],
)
def test_closed_by_a_condition(context: taddons.context, path: str, option: str, value: object) -> None:
    if option not in context.options:
        context.options.add_option(option, type(value), value, "")
    context.options.update(**{option: value})
    assert open_paths(HookTable(context.master.addons)) == {*PATHS} - {path}


@pytest.mark.parametrize(("path", "event"), [(path, event) for path in PATHS for event in EVENTS[path]])
def test_closed_by_an_addon_that_says_nothing(context: taddons.context, path: str, event: str) -> None:
    assert not is_open(context, path, addon(**{event: lambda self, flow: None}))


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("form", [frozenset, lambda paths: dict.fromkeys(paths, ())])
def test_opened_by_what_an_addon_says(context: taddons.context, path: str, form: Any) -> None:
    event = EVENTS[path][0]
    others = [other for other in PATHS if other != path]
    assert is_open(context, path, addon(fast_paths=form([path]), **{event: lambda self, flow: None}))
    other = addon(name="other", fast_paths=form(others), **{event: lambda self, flow: None})
    assert not is_open(context, path, other)


def test_an_option_that_closes_a_way(context: taddons.context) -> None:
    said = addon(fast_paths={"hits": ("my_rules",)}, request=lambda self, flow: None)
    context.master.options.add_option("my_rules", str, "", "")
    context.master.addons.add(said)
    table = HookTable(context.master.addons)
    assert "hits" in open_paths(table)
    context.master.options.update(my_rules="//x/y")
    assert "hits" not in open_paths(table)


@pytest.mark.parametrize(("path", "option"), [(path, option) for path in PATHS for option in MITMPROXY_OPTIONS[path]])
def test_an_option_of_mitmproxys_that_closes_a_way(context: taddons.context, path: str, option: str) -> None:
    if option not in context.options:
        context.options.add_option(option, bool, False, "")
    value: Any = True if isinstance(getattr(context.options, option), bool) else "x"
    context.options.__dict__["_options"][option].value = value
    assert not is_open(context, path)


def test_it_looks_again_when_addons_change(context: taddons.context) -> None:
    table = HookTable(context.master.addons)
    assert "exchanges" in open_paths(table)

    class Later:
        def request(self, flow: http.HTTPFlow) -> None:
            """Have a say."""

    later = Later()
    context.master.addons.add(later)
    assert "exchanges" not in open_paths(table)
    assert closed_by("exchanges", table) == [later]
    context.master.addons.remove(later)
    assert "exchanges" in open_paths(table)


@pytest.mark.parametrize(
    ("spec", "tunnels", "http"),
    [
        ("regular", True, True),
        ("regular@8081", True, True),
        ("reverse:http://a.test", False, True),
        ("reverse:https://a.test", False, True),
        ("reverse:tcp://a.test:1", False, False),
        ("reverse:tls://a.test:1", False, False),
        ("reverse:dns://a.test:1", False, False),
        ("reverse:http3://a.test", False, False),
        ("upstream:http://a.test", False, False),
        ("socks5", False, False),
        ("transparent", False, False),
        ("dns", False, False),
        ("wireguard", False, False),
        ("local", False, False),
        ("tun", False, False),
    ],
)
def test_a_mode(spec: str, tunnels: bool, http: bool) -> None:
    mode = ProxyMode.parse(spec)
    assert speaks_http(mode) is http
    assert paths_of(mode) == ({*PATHS} if tunnels else {"hits", "exchanges"} if http else set())
