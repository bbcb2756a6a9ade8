"""The secrets of one message, each part looked through as what it is."""

import json

import pytest

from proxy_policies.capture.model import Body
from proxy_policies.capture.secrets.decider import Decider
from proxy_policies.capture.secrets.redact_message import MAX_NESTING, MessageRedactor
from proxy_policies.capture.secrets.rules import parse_rules
from proxy_policies.capture.secrets.searchable import unsearched_reason

S = "Wz-zbpjD-jMLZkbxrVhyYQ"


def redactor(*rules: str) -> MessageRedactor:
    return MessageRedactor(Decider(parse_rules(rules), lambda *_: "~", is_response=False))


def answers() -> MessageRedactor:
    return MessageRedactor(Decider(parse_rules(()), lambda *_: "~", is_response=True))


FIELDS = {
    "scheme stays": ("Authorization", "Bearer S", "Bearer ~"),
    "no scheme": ("Authorization", "S", "~"),
    "cookies": ("Cookie", "theme=dark; sid=S", "theme=dark; sid=~"),
    "attributes": ("Set-Cookie", "sid=S; Path=/; HttpOnly", "sid=~; Path=/; HttpOnly"),
    "attributes with secrets": ("Set-Cookie", 'a=b; Path=/reset/S; x="sid=S"', 'a=b; Path=/reset/~; x="sid=~"'),
    "query in a parameter": ("Refresh", "5;url=/a?token=S&page=2", "5;url=/a?token=~&page=2"),
    "query after a matrix": ("Link", '</a;sid=S?page=2>; rel="next"', '</a;sid=~?page=2>; rel="next"'),
    "json in a field": ("X-Data", '{"token": "S", "city": "Bonn"}', '{"token": "~", "city": "Bonn"}'),
    "baggage": ("Baggage", "session.token=S,city=Bonn", "session.token=~,city=Bonn"),
    "pairs in a field": ("X-Debug", "user=joe, password=S", "user=joe, password=~"),
    "a line of a log": ("X-Log", "2026-11-28 login token=S ok", "2026-11-28 login token=~ ok"),
    "credentials in a field": ("X-Upstream", "Bearer S", "Bearer ~"),
    "query in an attribute": ("Set-Cookie", "a=b; Path=/x?token=S", "a=b; Path=/x?token=~"),
    "text about secrets": ("Warning", '299 - "Deprecated API key format"', '299 - "Deprecated API key format"'),
    "by name": ("X-Api-Token", "S", "~"),
    "url": ("Location", "/next?token=S&page=2", "/next?token=~&page=2"),
    "by shape": ("X-Note", "see ghp_0123456789abcdefghijklmnopqrstuvwxyz.", "see ~."),
    "policy": ("WWW-Authenticate", 'Basic realm="token"', 'Basic realm="token"'),
}


@pytest.mark.parametrize(("name", "before", "after"), FIELDS.values(), ids=FIELDS)
def test_a_field_is_looked_through_as_what_it_is(name: str, before: str, after: str) -> None:
    assert redactor().headers(((name, before.replace("S", S)),)) == ((name, after),)


URLS = {
    "JSON that is not encoded": ('/?q={"token":"S","n":1}', '/?q={"token":"~","n":1}'),
    "a call of OData": ("/Login(user='joe',password='S')", "/Login(user='joe',password='~')"),
    "OData": ("/?$filter=a+eq+1+and+token+eq+'S'&$top=2", "/?$filter=a+eq+1+and+token+eq+'~'&$top=2"),
    "OData, encoded": ("/?%24filter=token%20eq%20%27S%27", "/?%24filter=token%20eq%20%27~%27"),
    "a function of OData": ("/?$filter=contains(token,'S')", "/?$filter=contains(token,'~')"),
    "SCIM": ("/?filter=token%20ne%20%22S%22", "/?filter=token%20ne%20%22~%22"),
    "Lucene": ("/?q=city:Bonn+token:S", "/?q=city:Bonn+token:~"),
    "SOQL": ("/?q=SELECT+Id+WHERE+Token__c+=+'S'", "/?q=SELECT+Id+WHERE+Token__c+=+'~'"),
    "a search for words": ("/?q=reset+my+password:+how&page=2", "/?q=reset+my+password:+how&page=2"),
    "quotes": ('/?q="session"+it\'s&n=S', '/?q="session"+it\'s&n=S'),
}


@pytest.mark.parametrize(("before", "after"), URLS.values(), ids=URLS)
def test_texts_in_a_url_are_searched(before: str, after: str) -> None:
    assert redactor().url(f"http://a.test{before}".replace("S", S)) == f"http://a.test{after}".replace("S", S)


def test_the_users_fields_are_secrets_and_kept_names_none() -> None:
    assert redactor("header:x-customer").headers((("X-Customer", "5"),)) == (("X-Customer", "~"),)
    assert redactor("keep:x-api-token").headers((("X-Api-Token", S),)) == (("X-Api-Token", S),)


CONTENT = {
    "json": ("application/json", '{"token": "S"}', '{"token": "~"}'),
    "form": ("application/x-www-form-urlencoded", "a=1&token=S", "a=1&token=~"),
    "form without a type": ("", "a=1&token=S", "a=1&token=~"),
    "html": ("text/html", '<input name="csrf" value="S">', '<input name="csrf" value="~">'),
    "json without quotes": ("application/json", '{token: "S", city: "Bonn"}', '{token: "~", city: "Bonn"}'),
    "toml": ("application/toml", '[db]\ntoken = "S"\ncity = "Bonn"', '[db]\ntoken = "~"\ncity = "Bonn"'),
    "block": ("application/graphql", '{login(token: """S""") {id}}', '{login(token: """~""") {id}}'),
    "names and values by turns": (
        "application/json",
        '{"rawHeaders": ["X-Api-Key", "S", "Accept", "*/*"]}',
        '{"rawHeaders": ["X-Api-Key", "~", "Accept", "*/*"]}',
    ),
    "keys": (
        "application/json",
        '{"tokens": {"S": {"city": "Bonn"}, "main": 1}}',
        '{"tokens": {"~": {"city": "Bonn"}, "main": 1}}',
    ),
    "names alone": ("application/json", '{"required": ["password", "email"]}', '{"required": ["password", "email"]}'),
    "script": ("text/javascript", 'var token = "S", name = "token";', 'var token = "~", name = "token";'),
    "text": ("text/plain", "token=S", "token=~"),
    "picture": ("image/png", "token=S", "token=S"),
}


@pytest.mark.parametrize(("mime", "before", "after"), CONTENT.values(), ids=CONTENT)
def test_content_is_looked_through_by_its_type(mime: str, before: str, after: str) -> None:
    assert redactor().content(before.replace("S", S).encode(), mime) == after.replace("S", S).encode()


def test_bytes_of_no_charset_stay() -> None:
    assert redactor().content(b'\xff{"token": "%s"}' % S.encode(), "application/json") == b'\xff{"token": "~"}'


def test_a_document_keeps_its_form() -> None:
    before = {"token": S, "list": [{"password": "x"}, 5, None], "text": "a"}
    assert redactor().document(before) == {"token": "~", "list": [{"password": "~"}, 5, None], "text": "a"}


GRAPHQL = "application/graphql"
V = "Zq7hunter2Q9xZab"
GONE = {
    "a quoted name of Python": ("{'password': 'Zq7hunter2Q9xZab'}", "text/plain"),
    "a quoted name, called JSON": ("{'password': 'Zq7hunter2Q9xZab'}", "application/json"),
    "spaces around the sign": ("[db]\npassword = Zq7hunter2Q9xZab\n", "text/plain"),
    "a word in YAML": ("db:\n  - password: Zq7hunter2Q9xZab # it\n", "application/yaml"),
    "a list": ('{"passwords": ["Zq7hunter2Q9xZab"]}', "application/json"),
    "a card": ('{"cardNumber": "Zq7hunter2Q9xZab", "iban": "Zq7hunter2Q9xZab"}', "application/json"),
    "SAML": ("a=1&SAMLResponse=Zq7hunter2Q9xZab", "application/x-www-form-urlencoded"),
    "a name in RFC 5987's way": (
        "--B\r\nContent-Disposition: form-data; name*=utf-8''password\r\n\r\nZq7hunter2Q9xZab\r\n--B--",
        "multipart/form-data; boundary=B",
    ),
    "a name after others": ('[{"name": "password", "type": "text", "value": "Zq7hunter2Q9xZab"}]', "application/json"),
    "an element in an element": ("<credentials> <value>Zq7hunter2Q9xZab</value></credentials>", "text/xml"),
    "semicolons in a form": ("a=1;password=Zq7hunter2Q9xZab", "application/x-www-form-urlencoded"),
    "lines in a form": ("a=1\r\npassword=Zq7hunter2Q9xZab\r\n", "application/x-www-form-urlencoded"),
    "a NUL in JSON": ('{"a": "\0", "password": "Zq7hunter2Q9xZab"}', "application/json"),
    "an escaped ampersand": (r'{"url": "/x?a=1\u0026token=Zq7hunter2Q9xZab"}', "application/json"),
    "an escaped sign": (r'{"url": "/x?token\u003dZq7hunter2Q9xZab"}', "application/json"),
    "another language": (
        '{"motDePasse": "Zq7hunter2Q9xZab", "contrase\u00f1a": "Zq7hunter2Q9xZac"}',
        "application/json",
    ),
    "a frame of STOMP": ("CONNECT\npasscode:Zq7hunter2Q9xZab\n\n\0", "text/plain"),
    "lines of YAML": ("a:\n  - password: |-\n      Zq7hunter2Q9xZab\n\n      b\n  - c: d\n", "application/yaml"),
    "an encoded URL": ("/to/https%3A%2F%2Fbob%3AZq7hunter2Q9xZab%40shop.test%2F", "text/plain"),
    "a label in an element before it": (f"<b>API key</b>\n<pre class=k>\n{V}</pre>", "text/html"),
    "a label in an element around it": (f'<li>API key: <span class="x">{V}</span></li>', "text/html"),
    "an input in its label": (f'<label>API key <input readonly value="{V}"></label>', "text/html"),
    "highlighted JSON": (f"<i>&quot;token&quot;</i>: <i>&quot;{V}&quot;</i>", "text/html"),
    "JSON in a page": (f"<pre>{{&#34;a&#34;: 1, &#34;password&#34;: &#34;{V}&#34;}}</pre>", "text/html"),
    "a default in a script": (f'const t = process.env.API_TOKEN || "{V}";', "text/javascript"),
    "a declared type": (f'val token: String = "{V}"', "text/plain"),
    "a list of arguments": (f"['prog', '--password', '{V}']", "text/plain"),
    "a call with two texts": (f'getenv("API_TOKEN", "{V}")', "text/plain"),
    "a change": (f'{{"field": "password", "old": "a", "new": "{V}"}}', "application/json"),
    "credentials with parameters": (f'> Authorization: Digest username="a", response="{V}"\n', "text/plain"),
    "lines of TOML": (f'[a]\npassword = """\n{V}"""\n', "text/plain"),
    "JSON in a data URL": (f'<a href="data:application/json,%7B%22token%22%3A%22{V}%22%7D">', "text/html"),
    "a private key in JSON": (f'{{"keys": [{{"kty": "EC", "x": "a", "d": "{V}"}}]}}', "application/json"),
    "a symmetric key in a string": (json.dumps({"key": f'{{"k": "{V}", "kty": "oct"}}'}), "application/json"),
    "a list of sessions": (f'{{"sessions": ["{V}"]}}', "application/json"),
    "Value in XML": (f"<AutoLogon><Password><Value>{V}</Value></Password></AutoLogon>", "text/xml"),
    **{
        f"{notation} that is declared as {mime}": (text, mime)
        for mime in ("multipart/form-data; boundary=x", "application/x-www-form-urlencoded")
        for notation, text in {
            "JSON": f'{{"a": [{{"token": "{V}"}}]}}',
            "XML": f"<r>x<token>{V}</token></r>",
            "a field": f"X-Api-Key: {V}\r\nA: b\r\n",
            "YAML": f"x:\n  api_key: {V}\n",
        }.items()
    },
    "a string of GraphQL": ('mutation { login(password: "Zq7hunter2Q9xZab") { id } }', GRAPHQL),
}


@pytest.mark.parametrize("kind", GONE)
def test_it_is_gone(kind: str) -> None:
    text, mime = GONE[kind]
    assert b"Zq7hunter2" not in redactor().content(text.encode(), mime)


STAYS = {
    "tokens of a language model": (
        '{"token": " world", "tokens": ["The", " quick", "information", "\u0120it"]}',
        "json",
    ),
    "numbers of tokens": ('{"completion_tokens": 3456789, "max_tokens": 128000}', "json"),
    "messages of Rails": ('{"password": ["is too short (minimum is 8 characters)"], "token": ["has expired"]}', "json"),
    "code": ('f(a);auth={type:"basic",token:"token"};x?token=t:password=r;b=c&session=d.e', "text/javascript"),
    "comparisons": ("if token == x and secret == y", "text/plain"),
    "keys of YAML": ("token:\n  type: apiKey\ntitle: |\n  a\nsecret: *x\nsession: {a: 1}\n", "application/yaml"),
    "tables": ("name,token_type\njoe,bearer\n", "text/csv"),
    "places of JSON patch": ('[{"op": "replace", "path": "/title", "value": "password"}]', "application/json"),
    "JSON in base64": ('{"cursor": "eyJwYWdlIjogMiwgImlkIjogMTd9"}', "application/json"),
    "counts": ("sessions=123456789&total_tokens=1234567", "application/x-www-form-urlencoded"),
    "classes of Python": ('class BasicAuth:\n    """Checks a password.\n\n    It is short."""\n', "text/plain"),
    "a page with a label": ("<h2>Password</h2><p>Forgot it? <a href=/x>Reset</a></p>", "text/html"),
    "a page's scripts": (f'<p>Token</p><script src="/a.{V}.js"></script>', "text/html"),
    "a public key in JSON": (f'{{"kty": "RSA", "n": "{V}", "e": "AQAB", "kid": "{V}"}}', "application/json"),
    "members of one letter": (f'[{{"kty": "RSA", "n": "a"}}, {{"d": "{V}"}}]', "application/json"),
    "JSON in attributes": ('<div data-page="{&quot;token_type&quot;:&quot;bearer&quot;}">', "text/html"),
}


@pytest.mark.parametrize("kind", STAYS)
def test_it_stays(kind: str) -> None:
    text, mime = STAYS[kind]
    assert answers().content(text.encode(), mime) == text.encode()


@pytest.mark.parametrize("last", ["graphql-transport-ws", "v10.stomp", "mqtt"])
def test_of_websocket_subprotocols_what_is_random_goes(last: str) -> None:
    token = "v8Kd0-Tq2LmXw9_eR5yUi"
    [(_, value)] = redactor().headers((("Sec-WebSocket-Protocol", f"base64url.bearer.k8s.io.{token}, {last}"),))
    assert value == f"base64url.bearer.k8s.io.~, {last}"


@pytest.mark.parametrize(
    ("codec", "mark"), [("utf-16-le", True), ("utf-16-be", True), ("utf-16-le", False), ("utf-32-le", False)]
)
def test_texts_of_wide_characters_are_searched(codec: str, mark: bool) -> None:
    """A mark of byte order says what it is, or else the media type."""
    mime = "application/json" if mark else f"application/json; charset={codec}"
    text = "\ufeff" * mark + '{"password": "~"}'
    assert redactor().content(text.replace("~", S).encode(codec), mime) == text.encode(codec)
    assert unsearched_reason(Body(text.encode(codec)), (("Content-Type", mime),)) == ""


@pytest.mark.parametrize("depth", [MAX_NESTING, 2000])
def test_multiparts_nested_too_deep_go_as_a_whole(depth: int) -> None:
    heads = [f"--b{n}-\r\nContent-Type: multipart/mixed; boundary=b{n + 1}-\r\n\r\n" for n in range(depth)]
    body = "".join(heads) + f"token={S}"
    done = redactor().content(body.encode(), "multipart/mixed; boundary=b0-").decode()
    assert done == "".join(heads[:MAX_NESTING]) + "~"
