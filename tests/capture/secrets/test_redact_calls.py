"""Secrets whose names stand elsewhere in a call go, and nothing else does."""

import json
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from proxy_policies.capture.model import Body, Entry, Request, Response, Times
from proxy_policies.capture.secrets.placeholders import Placeholders, as_number
from proxy_policies.capture.secrets.redact import Redactor, parse_rules

KEY = Placeholders(b"k" * 32)
LOGIN = "mutation In($who: String!, $p: String!) {\n\tlogin(user: $who,\n\tpassword: $p) { id }\n}"
TYPED = "mutation($login: LoginInput!) { login(input: $login) { id } }"


def redacted(document: Any, mime: str = "application/json", *rules: str) -> Any:
    body = document.encode() if isinstance(document, str) else json.dumps(document).encode()
    request = Request("POST", "http://shop.test/", (("Content-Type", mime),), Body(body))
    done = Redactor(parse_rules(rules), KEY).entry(Entry(request, Response(200), Times(1.0)))
    text = done.request.body.content.decode()
    return text if isinstance(document, str) else json.loads(text)


def query(variables: dict[str, Any], text: str = LOGIN) -> dict[str, Any]:
    return {"query": text, "variables": variables}


def test_a_default_value_is_what_its_variable_is() -> None:
    before = (
        'query A($password: String! = "hunter2", $p: [String!] = "Zq7hunter2", $city: String = "Bonn") {a(token: $p)}'
    )
    after = before.replace("Zq7hunter2", KEY.of("Zq7hunter2")).replace('"hunter2', f'"{KEY.of("hunter2")}')
    assert redacted(before, "application/graphql") == after
    assert redacted({"query": before}) == {"query": after}


@pytest.mark.parametrize("method", ["user.login", "wp.getUsersBlogs"])
def test_arguments_of_xml_rpc_are_secret_but_for_the_first(method: str) -> None:
    def call(password: str) -> str:
        values = "".join(f"<param>\n<value><string>{text}</string></value></param>" for text in ("bob", password))
        return f"<methodCall><methodName>{method}</methodName><params>{values}</params></methodCall>"

    assert redacted(call("a &amp; hunter2"), "text/xml") == call(KEY.of("a & hunter2"))
    other = call("hunter2").replace(method, "city.find")
    assert redacted(other, "text/xml") == other


def test_a_call_in_a_string_is_read() -> None:
    def call(password: str) -> dict[str, str]:
        return {"body": json.dumps({"method": "login", "params": ["bob", password, "é/"]}), "city": "Bonn"}

    assert json.loads(redacted(call("hunter2"))["body"])["params"] == ["bob", KEY.of("hunter2"), KEY.of("é/")]


@pytest.mark.parametrize("value", ["hunter2", "Zq7hunter2Q9xZab", 4711])
def test_a_variable_is_what_its_argument_is_called(value: Any) -> None:
    placeholder = KEY.of(str(value))
    clean = query({"who": "bob", "p": as_number(placeholder) if isinstance(value, int) else placeholder})
    assert redacted(query({"who": "bob", "p": value})) == clean
    assert redacted([query({"who": "bob", "p": value}), query({"who": "al"}, TYPED)])[0] == clean


def test_a_variable_in_a_form_and_in_a_url() -> None:
    fields = {"query": LOGIN, "variables": json.dumps({"who": "bob", "p": "hunter2"})}
    for encoded in (urlencode(fields), urlencode(fields, quote_via=quote)):
        assert "hunter2" not in redacted(encoded, "application/x-www-form-urlencoded")
        request = Request("GET", f"http://shop.test/graphql?{encoded}")
        done = Redactor(parse_rules(()), KEY).entry(Entry(request, Response(200), Times(1.0))).request.url
        assert KEY.of("hunter2") in done
        assert "hunter2" not in done
        assert "bob" in done


@pytest.mark.parametrize(
    "document",
    [
        query({"login": {"id": 17, "p": "a"}}, TYPED),
        query({"p": "shoes"}, "query($p: String!) { search(text: $p) { id } }"),
        query({"t": "json"}, "query($t: String!) { list(token_type: $t) { id } }"),
        {"price": "$p", "note": "password: $5", "5": "a"},
        {"method": "add", "params": ["a", "b"]},
        {"method": "list_authors", "params": ["a", "b"]},
        {"method": "login", "params": {"user": "bob"}},
        {"method": "login", "result": ["a", "b"]},
        {"params": ["login", "b"], "id": 1},
    ],
)
def test_what_is_none_stays(document: Any) -> None:
    assert redacted(document) == document


def test_what_a_user_keeps_stays() -> None:
    document = query({"who": "bob", "p": "hunter2"})
    assert redacted(document, "application/json", "keep:password") == document


@pytest.mark.parametrize(
    ("method", "params", "secret"),
    [
        ("login", ["bob", "hunter2"], [1]),
        ("common.authenticate", ["db", "bob7", "hunter2", {"a": "b", "c": ["d"]}], [1, 2]),
        ("mining.authorize", ["bob.worker", "hunter2"], [1]),
        ("walletpassphrase", ["hunter2", 60], [0]),
        ("personal_unlockAccount", ["0xabc", 'hunter"2\\', 300], [1]),
        ("setPassword", ["bob", "hunter2"], [1]),
        ("login", [None, True, 5], []),
    ],
)
def test_an_argument_in_a_list_is_a_password_by_its_method(method: str, params: list[Any], secret: list[int]) -> None:
    clean = [KEY.of(item) if at in secret else item for at, item in enumerate(params)]
    call = {"jsonrpc": "2.0", "method": method, "params": params, "id": 1}
    other = {"jsonrpc": "2.0", "method": "add", "params": ["x", "y"]}
    assert redacted(call) == call | {"params": clean}
    assert redacted({"params": params, "method": method}) == {"params": clean, "method": method}
    assert redacted([other, call, other]) == [other, call | {"params": clean}, other]


def test_in_a_batch_where_it_is_not_known_whose_a_list_is_all_are_looked_through() -> None:
    batch = [{"method": "ping"}, {"method": "login", "params": ["bob", "hunter2"]}]
    assert "hunter2" not in json.dumps(redacted(batch))


def test_a_call_that_is_cut_is_read_as_far_as_it_goes() -> None:
    text = '{"jsonrpc": "2.0", "method": "login", "params": ["bob7", "hunter2'
    assert redacted(text) == text.replace("hunter2", KEY.of("hunter2"))
    assert redacted(f'{text}"') == f'{text}"'.replace("hunter2", KEY.of("hunter2"))


def test_lists_within_each_other_are_each_read() -> None:
    text = '[{"method":"login","params":["a1",{"method":"login","params":["b1","b2"]},"a2"]}]'
    expected = text.replace("b2", KEY.of("b2")).replace("a2", KEY.of("a2"))
    assert redacted(text) == expected


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ('["login","bob","hunter2"]', "hunter2"),
        ('42["user.login", "bob", "hunter2"]', "hunter2"),
        ('["AUTH", "hunter2"]', "hunter2"),
        ('{"op": 1, "args": ["authenticate", "bob", "hunter2"], "of": ["login", "bob", "x"]}', "hunter2"),
    ],
)
def test_a_list_that_is_a_call_is_read(text: str, secret: str) -> None:
    forms = ["application/x-www-form-urlencoded"] if text[0] in "[{" else []
    for mime in ("text/plain", "application/json", *forms):
        assert redacted(text, mime) == text.replace(secret, KEY.of(secret))


@pytest.mark.parametrize("text", ['["find", "bob", "hunter2"]', '{"fields": ["login", "email", "id"]}', '["login"]'])
def test_other_lists_stay(text: str) -> None:
    assert redacted(text, "application/json") == text


def test_an_answer_calls_nothing() -> None:
    body = Body(b'["login", "home", "help"]')
    entry = Entry(Request("GET", "http://shop.test/"), Response(200, body=body), Times(1.0))
    assert Redactor(parse_rules(()), KEY).entry(entry).response.body == body
