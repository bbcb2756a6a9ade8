"""Secrets in XML and HTML: exactly their characters are replaced."""

import pytest

from proxy_policies.capture.secrets.decider import Decider
from proxy_policies.capture.secrets.redact_markup import in_markup
from proxy_policies.capture.secrets.rules import RedactionRules

S = "Wz-zbpjD-jMLZkbxrVhyYQ"
TEXTS = {
    "input": ('<input type="hidden" name="csrf" value="S">', '<input type="hidden" name="csrf" value="#">'),
    "value first": ("<input value='S' name='csrf'/>", "<input value='#' name='csrf'/>"),
    "bare": ("<input name=csrf_token value=S>", "<input name=csrf_token value=#>"),
    "meta": ('<meta name="csrf-token" content="S">', '<meta name="csrf-token" content="#">'),
    "submit button": ('<input type="submit" name="token" value="Log in">',) * 2,
    "attribute": ('<div data-api-token="S" class="S">', '<div data-api-token="#" class="S">'),
    "element": ("<a><token>S</token><b>S</b></a>", "<a><token>#</token><b>S</b></a>"),
    "prefix and attributes": ('<w:Password Type="t">S</w:Password>', '<w:Password Type="t">#</w:Password>'),
    "spaces around": ("<token>\n  S\n</token>", "<token>\n  #\n</token>"),
    "cdata": ("<password><![CDATA[a<b]]></password>", "<password><![CDATA[#]]></password>"),
    "entities": ("<password>a&amp;b</password>", "<password>#</password>"),
    "named by an attribute": ('<string name="api_token">S</string>', '<string name="api_token">#</string>'),
    "plist": ("<key>password</key><string>S</string>", "<key>password</key><string>#</string>"),
    "comment": ("<b><!-- password=S --></b>", "<b><!-- password=# --></b>"),
    "comment of lines": ("<!--\ntoken: S\ncity: Bonn\n-->", "<!--\ntoken: #\ncity: Bonn\n-->"),
    "comments in comments": ("<!-- <!-- token=S --> a -->", "<!-- <!-- token=# --> a -->"),
    "comment that is cut": ("<p>a</p><!-- password=S", "<p>a</p><!-- password=#"),
    "row of two": ("<tr><th>Token</th><td><b>S</b></td></tr>", "<tr><th>Token</th><td><b>#</b></td></tr>"),
    "term": ("<dt>Token</dt>\n<dd>S</dd><dd>b</dd>", "<dt>Token</dt>\n<dd>#</dd><dd>b</dd>"),
    "term without an end": ("<dl><dt>Token<dd>S</dl>", "<dl><dt>Token<dd>#</dl>"),
    "label": ("<label>Password</label><input value=S>", "<label>Password</label><input value=#>"),
    "label for": ('<label for=p>PIN:</label> <p><input value="S">', '<label for=p>PIN:</label> <p><input value="#">'),
    "label of a button": ('<label>Token</label><input type="submit" value="Log in">',) * 2,
    "label and text": ("<label>Password</label><span>forgot it?</span>",) * 2,
    "entity of a document": ('<!ENTITY pw "S"> <!ENTITY b "c">', '<!ENTITY pw "#"> <!ENTITY b "c">'),
    "label and text of XML": ("<label>token</label><text>S</text>", "<label>token</label><text>#</text>"),
    "entry of a map": ("<string>token</string><string>S</string>", "<string>token</string><string>#</string>"),
    "in a string": (r'"<user password=\"S\" b=\"S\"/>"', r'"<user password=\"#\" b=\"S\"/>"'),
    "password field": ('<input type="password" name="x" value="S">', '<input type="password" name="x" value="#">'),
    "password in an attribute": ('<user name="bob" password="Zq7!x"/>', '<user name="bob" password="#"/>'),
    "cut element": ("<a><token>S", "<a><token>#"),
    "cut tag": ('<input value="S" nam', '<input value="#" nam'),
    "text": ("<p>the token S</p>", "<p>the token S</p>"),
}  # fmt: skip


@pytest.mark.parametrize(("before", "after"), TEXTS.values(), ids=TEXTS)
def test_only_the_secret_is_replaced(before: str, after: str) -> None:
    decider = Decider(RedactionRules(), lambda *_: "#", is_response=False)
    assert in_markup(before.replace("S", S), decider) == after.replace("S", S)


def test_a_reference_of_more_digits_than_can_be_read_stays() -> None:
    decider = Decider(RedactionRules(), lambda *_: "#", is_response=False)
    digits = f"&#{'9' * 5000};"
    assert (
        in_markup(f"<password>a{digits}</password><a b='{digits}'>", decider)
        == f"<password>#</password><a b='{digits}'>"
    )
