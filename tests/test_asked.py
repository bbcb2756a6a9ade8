"""What is kept of what a client asked for."""

from proxy_policies.asked import LONGEST_TEXT, Asked


def test_texts_are_cut_and_fields_are_found_in_any_case() -> None:
    long = b"a" * 100_000
    fields = [(b"HOST", b"h"), (b"Referer", long), (b"user-agent", b"x"), (b"other", b"y"), (b"cookie", b"z")]
    asked = Asked.of(b"GET", long, b"HTTP/1.1", fields)
    assert (asked.host, asked.user_agent) == (b"h", b"x")
    assert len(asked.target) <= LONGEST_TEXT


def test_no_half_of_a_token_is_kept() -> None:
    for begun in (b"/?token=", b"/a/", b"/?a=b&c;d="):
        asked = Asked.of(b"GET", begun + b"x" * 3000, b"HTTP/1.1", [])
        assert asked.target == begun + b"..."
