"""Who may see the page, and who may change anything."""

from proxy_policies.dashboard.access import Access

PASSWORD = "correct horse battery"


def test_a_token_is_made_up_where_there_is_no_password() -> None:
    first, second = Access(""), Access("")
    assert first.token != second.token
    assert len(first.token) == 32
    assert Access(PASSWORD).token == "", "a password is never printed"
    assert first.log_in(first.token)
    assert first.log_in(second.token) is None
    assert first.log_in("") is None


def test_cookies() -> None:
    access = Access(PASSWORD)
    cookie = access.log_in(PASSWORD)
    assert cookie
    assert access.is_logged_in(cookie)
    for wrong in ("", PASSWORD, cookie[:-1], "é\udc80"):
        assert not access.is_logged_in(wrong)
        assert access.log_in(f"{wrong}x") is None


def test_only_our_own_page_changes_anything() -> None:
    access = Access(PASSWORD)
    assert access.may_change(access.csrf_token, "http://localhost:8082", "localhost:8082")
    assert access.may_change(access.csrf_token, "", "localhost:8082")
    for origin in ("http://attacker.test", "null", "http://localhost:9999"):
        assert not access.may_change(access.csrf_token, origin, "localhost:8082")
    assert not access.may_change("", "http://localhost:8082", "localhost:8082")
