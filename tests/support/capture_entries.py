"""Entries of captures: an example, and strategies for hypothesis."""

from hypothesis import strategies as st

from proxy_policies.capture.model import Body, Entry, Request, Response, Times, WebSocketMessage

octets = st.text(st.characters(max_codepoint=255), max_size=20)
headers = st.lists(st.tuples(octets.map(lambda text: "x" + text), octets), max_size=4).map(tuple)
mimes = st.sampled_from(
    ["", "text/html; charset=latin-1", "application/json", "text/plain; charset=nonsense", "image/png"]
)
bodies = st.builds(Body, st.binary(max_size=40), wire=st.none() | st.binary(max_size=20), dropped=st.integers(0, 9))
moments = st.floats(1e9, 2e9)
requests = st.builds(
    Request,
    st.sampled_from(["GET", "POST", "BREW"]),
    octets.map(lambda text: f"http://shop.test/{text}"),
    st.tuples(headers, mimes).map(lambda both: (*both[0], ("Content-Type", both[1]))),
    bodies,
    st.sampled_from(["HTTP/1.0", "HTTP/1.1", "HTTP/2"]),
    headers,
    octets,
)
responses = st.builds(Response, st.integers(100, 599), octets, headers, bodies, trailers=headers)
messages = st.builds(
    WebSocketMessage, st.booleans(), st.just(False), st.binary(max_size=20), moments, st.integers(0, 1)
) | st.builds(WebSocketMessage, st.booleans(), st.just(True), st.text(max_size=20).map(str.encode), moments)
entries = st.builds(
    Entry,
    requests,
    responses,
    st.builds(Times, moments, st.none() | moments, st.none() | moments, st.none() | moments),
    id=st.text(max_size=8),
    origin=st.none() | responses,
    messages=st.lists(messages, max_size=3).map(tuple),
    close_code=st.none() | st.integers(1000, 4999),
    error=st.text(max_size=8),
    comment=st.text(max_size=8),
    trace=st.lists(st.dictionaries(st.text(max_size=5), st.integers()), max_size=2).map(tuple),
    connection_info=st.dictionaries(st.sampled_from(["client", "server_ip"]), st.text(max_size=5), max_size=2),
)


def an_entry(number: int = 1) -> Entry:
    """Return an entry whose time, id and response depend on a number."""
    answer = Response(200, "OK", (("Content-Type", "application/json"),), Body(b'{"n": %d}' % number))
    return Entry(Request("GET", f"http://shop.test/{number}"), answer, Times(1.7e9 + number), id=str(number))
