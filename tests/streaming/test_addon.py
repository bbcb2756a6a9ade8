"""Which bodies are streamed, which are buffered, and what becomes of them."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest
from mitmproxy import http
from mitmproxy.addons import intercept, modifybody
from mitmproxy.test import taddons, tflow
from tests.support.stages import Recorder, Suffix

from proxy_policies import trace
from proxy_policies.addon_chain import build_addons
from proxy_policies.body import PREVIEW_LIMIT, Stage
from proxy_policies.flows import flow_state
from proxy_policies.flows.flow_state import FlowStateAddon
from proxy_policies.streaming.addon import Streaming
from proxy_policies.streaming.decision import BUFFER_LIMIT
from proxy_policies.streaming.stream import Stream

LARGE = str(BUFFER_LIMIT + 1)
SMALL = str(BUFFER_LIMIT)


@pytest.fixture
def context() -> Iterator[taddons.context]:
    with taddons.context(modifybody.ModifyBody(), intercept.Intercept()) as context:
        context.options.add_option("server_replay", list, [], "")
        context.options.add_option("save_stream_file", str, "", "")
        context.options.add_option("hardump", str, "", "")
        context.options.add_option("body_size_limit", str | None, None, "")
        yield context


async def through(asked: Awaitable[None] | None) -> None:
    """Wait for a hook, if there is anything to wait for."""
    if asked is not None:
        await asked


async def complete(flow: http.HTTPFlow) -> None:
    """Pass a complete response through its pipeline."""
    await through(Streaming().receive_response(flow))
    await through(Streaming().complete_response(flow))


def response(flow: http.HTTPFlow, fields: Mapping[str, str] = MappingProxyType({}), status: int = 200) -> http.Response:
    """Give a flow a response head just off the wire."""
    flow.response = http.Response.make(status)
    flow.response.headers = _headers(fields)
    flow.response.raw_content = flow.response.timestamp_end = None
    FlowStateAddon().responseheaders(flow)
    Streaming().decide_response(flow)
    return flow.response


def _headers(fields: Mapping[str, str]) -> http.Headers:
    return http.Headers([(name.encode(), value.encode()) for name, value in fields.items()])


RESPONSES: dict[str, tuple[dict[str, str], bool]] = {
    "small": ({"content-length": SMALL}, False),
    "large": ({"content-length": LARGE}, True),
    "empty": ({"content-length": "0"}, False),
    "of unknown length": ({}, True),
    "chunked": ({"transfer-encoding": "chunked"}, True),
    "small event stream": ({"content-length": "10", "content-type": "Text/Event-Stream; charset=utf-8"}, True),
    "nonsense length": ({"content-length": "many"}, True),
}


@pytest.mark.parametrize(("fields", "streamed"), RESPONSES.values(), ids=RESPONSES)
def test_which_downloads_are_streamed(context: taddons.context, fields: dict[str, str], streamed: bool) -> None:
    flow = tflow.tflow()
    assert isinstance(response(flow, fields).stream, Stream) is streamed
    assert ("response streamed" in [note["verdict"] for note in trace.notes(flow)]) is streamed


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304), ("GET", 101)])
async def test_what_has_no_body_gets_none_from_an_encoder(context: taddons.context, method: str, status: int) -> None:
    flow, tap = tflow.tflow(), Recorder()
    flow.request.method = method
    head = response(flow, {"transfer-encoding": "chunked"}, status)
    assert not head.stream
    flow_state.state_of(flow).response_body.add(Stage.ENCODER, Suffix(b"!"))
    flow_state.state_of(flow).response_body.tap(Stage.CACHE, tap)
    head.raw_content = b""
    await complete(flow)
    assert head.raw_content == b""
    assert head.headers["transfer-encoding"] == "chunked"
    assert tap.ends == ["finish"]


REQUESTS: dict[str, tuple[dict[str, str], str, bool]] = {
    "GET": ({}, "GET HTTP/2.0", False),
    "small": ({"content-length": SMALL}, "PUT HTTP/1.1", False),
    "large": ({"content-length": LARGE}, "PUT HTTP/1.1", True),
    "none": ({}, "PUT HTTP/1.1", False),
    "chunked": ({"transfer-encoding": "chunked"}, "PUT HTTP/1.1", True),
    "of unknown length in HTTP/2": ({}, "PUT HTTP/2.0", True),
}


@pytest.mark.parametrize(("fields", "version", "streamed"), REQUESTS.values(), ids=REQUESTS)
def test_which_uploads_are_streamed(
    context: taddons.context, fields: dict[str, str], version: str, streamed: bool
) -> None:
    flow = tflow.tflow()
    flow.request.headers = _headers(fields)
    flow.request.method, flow.request.http_version = version.split(" ")
    flow.request.raw_content = None
    Streaming().decide_request(flow)
    assert isinstance(flow.request.stream, Stream) is streamed


@pytest.mark.parametrize("reason", ["answered", "failed", "wanted whole by a policy"])
def test_an_upload_that_has_its_answer_is_not_streamed(context: taddons.context, reason: str) -> None:
    flow = tflow.tflow(resp=reason == "answered", err=reason == "failed")
    flow_state.state_of(flow).needs_full_body = reason == "wanted whole by a policy"
    flow.request.headers["content-length"] = LARGE
    flow.request.stream = True
    Streaming().decide_request(flow)
    assert flow.request.stream is False


WHOLE: dict[str, Callable[[taddons.context], Any]] = {
    "modify_body": lambda context: context.options.update(modify_body=["/~s/a/b"]),
    "intercept": lambda context: context.options.update(intercept="~s"),
    "server_replay": lambda context: context.options.update(server_replay=["x"]),
    "another script": lambda context: _script(context, SimpleNamespace(name="other", response=print, request=print)),
}


def _script(context: taddons.context, script: Any) -> None:
    context.master.addons.lookup["scriptloader"] = SimpleNamespace(addons=[script])


@pytest.mark.parametrize("want", WHOLE.values(), ids=WHOLE)
def test_a_body_needed_whole_is_buffered_unless_it_never_ends(
    context: taddons.context, want: Callable[[taddons.context], Any]
) -> None:
    want(context)
    flow = tflow.tflow()
    flow.request.headers["content-length"] = LARGE
    Streaming().decide_request(flow)
    assert not flow.request.stream
    assert not response(flow, {"content-length": LARGE}).stream
    assert response(flow, {"content-type": "text/event-stream"}).stream


@pytest.mark.parametrize("option", ["save_stream_file", "hardump"])
async def test_what_is_saved_is_streamed_and_kept_whole(context: taddons.context, option: str) -> None:
    context.options.update(**{option: "x"})
    flow = tflow.tflow()
    head = response(flow)
    _stream(head, *[b"x" * PREVIEW_LIMIT] * 4, b"")
    await complete(flow)
    assert head.raw_content == b"x" * PREVIEW_LIMIT * 4


def test_what_is_held_to_a_limit_is_streamed_for_its_length_or_type_only(context: taddons.context) -> None:
    context.options.update(body_size_limit="10m")
    assert not response(tflow.tflow(resp=True)).stream
    assert response(tflow.tflow(resp=True), {"content-length": LARGE}).stream
    assert response(tflow.tflow(resp=True), {"content-type": "text/event-stream"}).stream


def test_an_endless_upload_is_streamed_even_if_needed_whole(context: taddons.context) -> None:
    _script(context, SimpleNamespace(name="other", request=print))
    flow = tflow.tflow()
    flow.request.headers = _headers({"content-type": "application/grpc+proto"})
    flow.request.method, flow.request.http_version, flow.request.raw_content = "POST", "HTTP/2.0", None
    Streaming().decide_request(flow)
    assert isinstance(flow.request.stream, Stream)


def test_a_script_without_the_hook_and_one_of_ours_want_nothing(context: taddons.context) -> None:
    _script(context, SimpleNamespace(name="other", responseheaders=print))
    assert response(tflow.tflow(), {"content-length": LARGE}).stream
    ours = SimpleNamespace(name="ours", addons=build_addons(SimpleNamespace(name="mine", response=print)))
    _script(context, ours)
    assert response(tflow.tflow(), {"content-length": LARGE}).stream


async def test_a_buffered_body_goes_through_its_pipeline(context: taddons.context) -> None:
    flow, tap = tflow.tflow(), Recorder()
    head = response(flow, {"content-length": "4"})
    flow_state.state_of(flow).response_body.add(Stage.ENCODER, Suffix(b"!"))
    flow_state.state_of(flow).response_body.tap(Stage.CACHE, tap)
    head.raw_content = b"body"
    await complete(flow)
    assert (head.raw_content, head.headers["content-length"], bytes(tap.seen)) == (b"body!", "5", b"body")


async def test_a_streamed_body_is_shown_whole_when_it_is_short(context: taddons.context) -> None:
    flow = tflow.tflow()
    head = response(flow)
    _stream(head, b"event 1", b"event 2", b"")
    await complete(flow)
    assert head.raw_content == b"event 1event 2"
    assert [note["verdict"] for note in trace.notes(flow)] == ["response streamed"]


async def test_a_long_one_is_shown_in_part_and_says_so(context: taddons.context) -> None:
    flow = tflow.tflow()
    head = response(flow)
    _stream(head, *[b"x" * PREVIEW_LIMIT] * 4, b"")
    await complete(flow)
    assert head.raw_content == b"x" * PREVIEW_LIMIT
    assert trace.notes(flow)[-1] == {
        "policy": "streaming",
        "verdict": "response shown in part",
        "why": "of the 1.0m that passed, the first 256k are kept to be looked at",
    }


def test_what_broke_off_is_shown_and_its_taps_are_told(context: taddons.context) -> None:
    flow, tap = tflow.tflow(), Recorder()
    flow_state.state_of(flow).response_body.tap(Stage.CACHE, tap)
    head = response(flow)
    _stream(head, b"half")
    Streaming().error(flow)
    assert (head.raw_content, tap.ends) == (b"half", ["abort"])
    assert trace.notes(flow)[-1]["verdict"] == "response shown in part"


async def test_a_length_that_no_longer_holds_is_dropped(context: taddons.context) -> None:
    flow = tflow.tflow()
    flow_state.state_of(flow).response_body.add(Stage.ENCODER, Suffix(b"!"))
    assert "content-length" not in response(flow, {"content-length": LARGE}).headers
    other = tflow.tflow()
    assert response(other, {"content-length": LARGE}).headers["content-length"] == LARGE


@pytest.mark.parametrize("given", [list, bytes], ids=["a list", "bytes"])
async def test_another_addons_stream_goes_first(context: taddons.context, given: type) -> None:
    def shout(data: bytes) -> bytes | list[bytes]:
        out = data.upper() or b"?"
        return out if given is bytes else [out[:1], b"", out[1:]]

    flow = tflow.tflow()
    flow.response = http.Response.make(200)
    flow.response.stream = shout
    flow.response.raw_content = flow.response.timestamp_end = None
    FlowStateAddon().responseheaders(flow)
    flow_state.state_of(flow).response_body.add(Stage.ENCODER, Suffix(b"!"))
    Streaming().decide_response(flow)
    assert b"".join(_stream(flow.response, b"ab", b"cd", b"")) == b"ABCD?!"


async def test_an_upload_kept_in_part_is_not_sent_again(context: taddons.context, caplog: Any) -> None:
    flow = tflow.tflow()
    flow.request.raw_content = None
    flow.request.headers["content-length"] = LARGE
    Streaming().decide_request(flow)
    _stream(flow.request, *[b"x" * PREVIEW_LIMIT] * 5, b"")
    await through(Streaming().request(flow))
    assert len(flow.request.raw_content or b"") == PREVIEW_LIMIT
    flow.is_replay, flow.live = "request", True
    Streaming().decide_request(flow)
    assert flow.error
    assert flow.error.msg == flow.error.KILLED_MESSAGE
    assert "not sent again" in caplog.text
    edited = flow.copy()
    edited.error, edited.live, edited.request.content = None, True, b"edited"
    Streaming().decide_request(edited)
    assert edited.error is None


def _stream(message: http.Message, *chunks: bytes) -> list[bytes]:
    assert isinstance(message.stream, Stream)
    return [out for chunk in chunks for out in message.stream(chunk)]
