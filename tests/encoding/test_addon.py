"""How encoding meets the cache."""

import gzip

import pytest
from mitmproxy import http
from mitmproxy.test import tflow

from proxy_policies import trace
from proxy_policies.body import Tap
from proxy_policies.cache.body_taps import StoredEncoding
from proxy_policies.cache.stores.store import BytesBody
from proxy_policies.encoding.addon import Encoding
from proxy_policies.flows import flow_state

PAGE = b"<p>All work and no play makes a dull page.</p>\n" * 100
KEPT = gzip.compress(PAGE)


class Keeper:
    """Stands for the cache: keeps what the encoder makes."""

    def __init__(self, kept: bytes | None = None, wants: bool = True) -> None:
        self.kept = kept
        self.wants = wants
        self.made = b""
        self.whole = False

    async def find(self, coding: str) -> StoredEncoding | None:
        return StoredEncoding(BytesBody(self.kept)) if coding == "gzip" and self.kept is not None else None

    def keep(self, coding: str) -> Tap | None:
        return self if self.wants else None

    def feed(self, data: bytes) -> None:
        self.made += data

    def finish(self) -> None:
        self.whole = True

    def abort(self) -> None:
        raise AssertionError("the body came whole")


async def hit(keeper: Keeper, method: str = "GET", media_type: str = "text/html") -> http.HTTPFlow:
    flow = tflow.tflow()
    flow.request.method = method
    flow.request.headers["Accept-Encoding"] = "gzip"
    flow.response = http.Response.make(200, PAGE, {"Content-Type": media_type, "ETag": '"v1"'})
    if method == "HEAD":
        flow.response.raw_content = b""
    flow_state.state_of(flow).variants = keeper
    flow_state.state_of(flow).content = flow.response.raw_content
    if (encoding := Encoding().encode_whole(flow)) is not None:
        await encoding
    return flow


def response_of(flow: http.HTTPFlow) -> http.Response:
    assert flow.response
    return flow.response


@pytest.mark.parametrize(("method", "body"), [("GET", KEPT), ("HEAD", b"")], ids=["GET", "HEAD"])
async def test_what_is_kept_is_not_encoded_again(method: str, body: bytes) -> None:
    flow = await hit(Keeper(KEPT), method)
    assert response_of(flow).raw_content == body
    assert response_of(flow).headers["Content-Length"] == str(len(KEPT))
    assert response_of(flow).headers["Content-Encoding"] == "gzip"
    assert not flow_state.state_of(flow).response_body
    assert [(note["verdict"], note["why"]) for note in trace.notes(flow)] == [("gzip", "the client accepts it")]


async def test_what_is_encoded_is_kept() -> None:
    keeper = Keeper()
    flow = await hit(keeper)
    sent = await flow_state.state_of(flow).response_body.run(PAGE)
    assert keeper.whole
    assert keeper.made == sent
    assert gzip.decompress(sent) == PAGE


@pytest.mark.parametrize(
    ("keeper", "media_type"),
    [(Keeper(wants=False), "text/html"), (Keeper(KEPT), "text/event-stream")],
    ids=["the cache does not want it", "events are never kept"],
)
async def test_what_is_not_to_be_kept(keeper: Keeper, media_type: str) -> None:
    flow = await hit(keeper, media_type=media_type)
    assert gzip.decompress(await flow_state.state_of(flow).response_body.run(PAGE)) == PAGE
    assert keeper.made == b""


async def test_a_head_of_a_body_not_encoded_yet_has_no_length() -> None:
    flow = await hit(Keeper(), "HEAD")
    assert "Content-Length" not in response_of(flow).headers
    assert not flow_state.state_of(flow).response_body
