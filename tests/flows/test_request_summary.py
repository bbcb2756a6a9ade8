"""What is kept of what a client summary for."""

from proxy_policies.flows.request_summary import LONGEST_TEXT, RequestSummary


def test_texts_are_cut_and_fields_are_found_in_any_case() -> None:
    long = b"a" * 100_000
    fields = [(b"HOST", b"h"), (b"Referer", long), (b"user-agent", b"x"), (b"other", b"y"), (b"cookie", b"z")]
    summary = RequestSummary.of(b"GET", long, b"HTTP/1.1", fields)
    assert (summary.host, summary.user_agent) == (b"h", b"x")
    assert len(summary.target) <= LONGEST_TEXT


def test_no_half_of_a_token_is_kept() -> None:
    for begun in (b"/?token=", b"/a/", b"/?a=b&c;d="):
        summary = RequestSummary.of(b"GET", begun + b"x" * 3000, b"HTTP/1.1", [])
        assert summary.target == begun + b"..."
