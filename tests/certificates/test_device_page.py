"""What the page for devices says."""

import re
from datetime import UTC, datetime

import pytest

from proxy_policies.certificates.authority import Authority, make_authority
from proxy_policies.certificates.device_page import FILE, devices, fingerprint, page
from proxy_policies.certificates.name_constraints import parse_permitted

URL = "http://192.0.2.7:8083/"


@pytest.fixture(scope="module")
def ours() -> Authority:
    return make_authority("ours <b> & co", datetime(2026, 1, 1, tzinfo=UTC), [parse_permitted("example.com")])


def test_it_says_whose_it_is_and_for_what(ours: Authority) -> None:
    shown = page(ours, URL, "<svg></svg>")
    assert "Trust ours &lt;b&gt; &amp; co" in shown
    assert "<b>" not in shown
    assert fingerprint(ours) in shown
    assert "It expires on 2035-12-30." in shown
    assert "accept it only for example.com and" in shown
    assert f'href="/{FILE}"' in shown
    assert "<svg></svg>" in shown
    assert f'<a href="{URL}">{URL}</a>' in shown


def test_nothing_is_loaded_from_elsewhere(ours: Authority) -> None:
    assert set(re.findall(r'(?:src|href)="([^"]*)"', page(ours, URL))) == {f"/{FILE}", URL}


def test_a_fingerprint_is_written_as_devices_write_it(ours: Authority) -> None:
    assert re.fullmatch(r"([0-9A-F]{2}:){31}[0-9A-F]{2}", fingerprint(ours))


def test_what_is_trusted_can_be_undone_on_every_device() -> None:
    for device in devices("ours"):
        assert device.trust
        assert device.undo
