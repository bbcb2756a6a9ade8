"""Values handed out and handed back."""

import tracemalloc

import pytest

from proxy_policies.capture.check.correlate import Correlator, find_links, parse_carry_rules
from proxy_policies.capture.check.link_table import LinkTable
from proxy_policies.capture.model import Body, Entry, Headers, Request, Response, Times
from proxy_policies.capture.secrets.placeholders import Placeholders

JSON = ("Content-Type", "application/json")
FORM = ("Content-Type", "application/x-www-form-urlencoded")
HTML = ("Content-Type", "text/html")


def entry(request: Request, *fields: tuple[str, str], body: bytes = b"") -> Entry:
    return Entry(request, Response(200, "OK", fields, Body(body)), Times(1.0))


def get(url: str, *fields: tuple[str, str], method: str = "GET", body: bytes = b"") -> Request:
    return Request(method, f"http://shop.test{url}", fields, Body(body))


HANDED_OUT = {
    "cookie": (((("Set-Cookie", "sid=abc12def; Path=/"),), b""), get("/", ("Cookie", "a=b; sid=abc12def")), "sid=NEW"),
    "token": (((JSON,), b'{"access_token": "abc12def"}'), get("/", ("Authorization", "Bearer abc12def")), "Bearer NEW"),
    "html": (((HTML,), b'<input name="csrf" value="abc12def">'),
             get("/", FORM, method="POST", body=b"csrf=abc12def&x=1"), "csrf=NEW&x=1"),
    "small id": (((JSON,), b'{"id": 17}'), get("/orders/17"), "/orders/NEW"),
    "location": (((("Location", "/o/17abc99"),), b""), get("/o/17abc99"), "/o/NEW"),
    "query": (((JSON,), b'{"cursor": "abc12def"}'), get("/?after=abc12def"), "after=NEW"),
    "json": (((JSON,), b'{"id": 17}'), get("/", JSON, method="POST", body=b'{"order_id": 17}'), '{"order_id": "NEW"}'),
}  # fmt: skip


@pytest.mark.parametrize(("out", "back", "expected"), HANDED_OUT.values(), ids=HANDED_OUT)
def test_a_value_that_was_handed_out_is_carried_over(out: tuple[Headers, bytes], back: Request, expected: str) -> None:
    fields, body = out
    recording = [entry(get("/first"), *fields, body=body), entry(back)]
    links = find_links(range(len(recording)), recording)
    [link] = links
    carrier = Correlator(links)
    old = link.value.encode()
    live = tuple((name, value.replace(old.decode(), "NEW")) for name, value in fields)
    new_body = body.replace(b": 17", b': "NEW"').replace(old, b"NEW")
    carrier.learn(0, Response(200, "OK", live, Body(new_body)))
    sent = carrier.apply(1, back)
    assert expected in "\n".join([sent.url, *(value for _, value in sent.headers), sent.body.content.decode()])
    assert carrier.needs(1) == {0}


KEY = Placeholders(b"k" * 32)


@pytest.mark.parametrize("hidden", ["source", "target", "both", "none"])
def test_a_link_does_not_depend_on_what_redaction_found(hidden: str) -> None:
    value = "Wz-zbpjD-jMLZkbxrVhyYQ"
    source, target = (KEY.of(value) if hidden in (side, "both") else value for side in ("source", "target"))
    recording = [entry(get("/"), JSON, body=b'{"ref": "%s"}' % source.encode()), entry(get("/", ("X-Ref", target)))]
    assert [str(link) for link in find_links(range(len(recording)), recording, KEY.identity_of)] == [
        "entry 1 json:$.ref → entry 2 header:x-ref"
    ]


UUID = "0b1c2d3e-4f56-4789-8abc-def012345678"
WITHIN = {
    "message": (JSON, '{"msg": "order § was created"}', "/orders/§"),
    "link": (JSON, '{"self": "http://shop.test/v2/orders/§?full=1"}', "/v2/orders/§"),
    "second": (JSON, '{"msg": "of order 99, order §: new"}', "/orders/§/lines"),
    "stream": (("Content-Type", "application/x-ndjson"), '{"log": "order #§"}\n{"log": "done"}\n', "/orders/§"),
    "XML": (("Content-Type", "text/xml"), "<a><order>§</order></a>", "/orders/§"),
    "text": (("Content-Type", "text/plain"), "Order: §\n", "/order/§"),
}


@pytest.mark.parametrize("values", [("17", "1234"), (UUID, UUID.replace("0", "9"))], ids=["number", "uuid"])
@pytest.mark.parametrize(("field", "body", "url"), WITHIN.values(), ids=WITHIN)
def test_an_id_within_a_text_is_carried_over(
    field: tuple[str, str], body: str, url: str, values: tuple[str, str]
) -> None:
    old, new = values
    out, back = entry(get("/"), field, body=body.replace("§", old).encode()), get(url.replace("§", old))
    assert list(find_links(range(2), [out, entry(back)])) == []
    links = find_links(range(2), [out, entry(back)], within_texts=True)
    carrier = Correlator(links)
    carrier.learn(0, Response(200, "OK", (field,), Body(body.replace("§", new).encode())))
    assert carrier.apply(1, back).url == f"http://shop.test{url}".replace("§", new)


NOT_WITHIN = {
    "another noun": ("price 17", "/orders/17"),
    "no path": ("page 17 of 20", "/?page=17"),
    "a date": ("created on 2026-11-28", "/calendar/2026-11-28"),
    "a version": ("http://shop.test/api/v1", "/api/v1"),
    "a fraction": ("order 17.5", "/orders/17"),
    "an address": ("host 10.0.0.17", "/host/10.0.0.17"),
}


@pytest.mark.parametrize(("text", "url"), NOT_WITHIN.values(), ids=NOT_WITHIN)
def test_what_a_text_has_by_chance_is_not_carried(text: str, url: str) -> None:
    out = entry(get("/"), ("Content-Type", "text/plain"), body=text.encode())
    assert list(find_links(range(2), [out, entry(get(url))], within_texts=True)) == []


@pytest.mark.parametrize("order", [[0, 1, 2], [1, 0, 2]])
def test_a_value_by_itself_is_preferred_to_one_within_a_text(order: list[int]) -> None:
    bodies = (b'{"id": 17}', b'{"msg": "order 17"}')
    recording = [*(entry(get("/"), JSON, body=body) for body in bodies), entry(get("/orders/17"))]
    [link] = find_links(order, recording, within_texts=True)
    assert str(link) == "entry 1 json:$.id → entry 3 path:1"


UNLINKED = {
    "a count is no id": (b'{"count": 17}', get("/orders/17")),
    "a word": (b'{"name": "orders"}', get("/orders")),
    "true": (b'{"id": true}', get("/?id=True")),
}


@pytest.mark.parametrize(("body", "back"), UNLINKED.values(), ids=UNLINKED)
def test_what_is_equal_by_chance_is_not_carried(body: bytes, back: Request) -> None:
    assert list(find_links(range(2), [entry(get("/"), JSON, body=body), entry(back)])) == []


def test_a_value_comes_from_the_latest_that_handed_it_out() -> None:
    out = [entry(get(f"/{name}"), JSON, body=b'{"id": 17, "other_id": 17}') for name in ("a", "b")]
    recording = [*out, entry(get("/orders/17?id=17")), out[0], entry(get("/orders/17"))]
    assert [str(link) for link in find_links([1, 0, 2, 3, 4], recording)] == [
        "entry 1 json:$.id → entry 3 path:1",
        "entry 1 json:$.id → entry 3 query:id",
        "entry 4 json:$.id → entry 5 path:1",
    ]


def test_an_explicit_rule_carries_the_latest_value() -> None:
    carrier = Correlator(LinkTable(), parse_carry_rules(["json:$.csrf=header:x-csrf"]))
    for value in ("one", "two"):
        carrier.learn(0, Response(200, "OK", (JSON,), Body(f'{{"csrf": "{value}"}}'.encode())))
    assert carrier.apply(5, get("/", ("X-Csrf", "old"))).headers == (("X-Csrf", "two"),)
    assert carrier.apply(5, get("/")).headers == ()
    with pytest.raises(ValueError, match="write its source"):
        parse_carry_rules(["csrf"])


class Distinct:
    """Entries whose requests hand back what no response gave, made as they are asked for."""

    def __getitem__(self, number: int) -> Entry:
        ids = "&".join(f"n{at}={number * 10 + at:032x}" for at in range(10))
        return entry(get(f"/?{ids}"), JSON, body=b'{"id": %d}' % number)


def peak(count: int) -> int:
    tracemalloc.start()
    try:
        assert list(find_links(range(count), Distinct())) == []
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_values_from_no_response_take_no_memory() -> None:
    peak(50)  # caches fill
    assert peak(800) - peak(200) < 200_000, "6 000 values more, of 60 bytes and more"
