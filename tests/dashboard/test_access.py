"""Who may see the page, and who may change anything."""

import pytest

from proxy_policies.dashboard.access import Access, is_loopback

PASSWORD = "correct horse battery"


def test_a_token_is_made_up_where_there_is_no_password() -> None:
    first, second = Access(""), Access("")
    assert first.token != second.token
    assert len(first.token) == 32
    assert Access(PASSWORD).token == "", "a password is never printed"
    assert first.enter(first.token)
    assert first.enter(second.token) is None
    assert first.enter("") is None


def test_cookies_and_bearers() -> None:
    access = Access(PASSWORD)
    cookie = access.enter(PASSWORD)
    assert cookie
    assert access.is_known(cookie, "")
    assert access.is_known("", f"bearer {PASSWORD}")
    for wrong in ("", PASSWORD, cookie[:-1], "é\udc80"):
        assert not access.is_known(wrong, "")
        assert not access.is_known(wrong, f"Basic {PASSWORD}")
        assert not access.is_known(wrong, f"Bearer {wrong}x")


def test_only_our_own_page_changes_anything() -> None:
    access = Access(PASSWORD)
    assert access.may_change(access.csrf_token, "http://localhost:8082", "localhost:8082")
    assert access.may_change(access.csrf_token, "", "localhost:8082")
    for origin in ("http://attacker.test", "null", "http://localhost:9999"):
        assert not access.may_change(access.csrf_token, origin, "localhost:8082")
    assert not access.may_change("", "http://localhost:8082", "localhost:8082")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.9.9.9"])
def test_what_only_this_machine_reaches(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "0.0.0.0", "::", "192.0.2.1", "localhost.example"])
def test_what_others_reach(host: str) -> None:
    assert not is_loopback(host)
