"""Redact XML and HTML: elements, inputs, attributes. All other characters are unchanged."""

import html
import re
from collections.abc import Callable

from proxy_policies.capture.secrets.decider import Decider, Place
from proxy_policies.capture.secrets.names import Grade, may_be_secret_name
from proxy_policies.capture.secrets.redact_json import in_json
from proxy_policies.capture.secrets.redact_lines import in_named_lines

_ELEMENT = re.compile(
    r"<(?P<tag>(?:[\w.-]+:)?(?P<name>[A-Za-z_][\w.-]*))(?P<attributes>\s[^<>]*)?>\s*+"
    r"(?:<!--(?:(?!-->|<!--)[\s\S])*+-->\s*+)*+(?:<(?:[\w.-]+:)?(?i:value|string|text|AttributeValue)(?:\s[^<>]*)?>\s*+)?"
    r"(?P<open><!\[CDATA\[)?(?P<value>(?(open)(?:(?!\]\]>)[\s\S])+|[^<>]*[^<>\s]))(?=\s*(?:\]\]>|</|<?\Z))"
)
_KEY_VALUE = re.compile(
    r"(<(?:\w+:)?(?P<key>key|name|label|field|id|title|param|property|string)>(?P<name>[^<>]+)</(?:\w+:)?(?P=key)>\s*"
    r"<(?:\w+:)?(?:string|value|integer|text|val|content|data)>"
    r"(?:\s*<(?:\w+:)?(?:string|int|i4|base64)>)?\s*(?P<open><!\[CDATA\[)?)"
    r"(?P<value>(?(open)(?:(?!\]\]>)[\s\S])+|[^<>]+))(?=\]\]>|</|<?\Z)",
    re.IGNORECASE,
)
_COMMENT = re.compile(r"(?P<open><!--\s*+)(?P<text>(?:(?!\s*+-->)[\s\S])++)")
_ENTITY = re.compile(
    r"""(?P<before><!ENTITY\s+(?:%\s+)?(?P<name>[\w.-]{1,100})\s+(?P<quote>["']))(?P<value>[^"'<>]+)(?=(?P=quote))"""
)
_LABELLED = re.compile(
    r"""(?P<before><label\b[^<>]{0,200}>\s*+(?P<name>[^<>]{2,60})(?:</label>\s*+)?+(?:<(?!input)\w[^<>]{0,200}>\s*+){0,2}+)"""
    r"""(?P<input><input\b[^<>]*+>)""",
    re.IGNORECASE,
)
"""An input with its label."""
_CELLS = re.compile(
    r"(<(?P<tag>td|th|dt)\b[^<>]{0,200}>\s*+(?P<name>[^<>]{2,60})(?:</(?P=tag)>\s*+)?<(?:td|dd)\b[^<>]{0,200}>\s*+(?:<\w{1,9}>)?)"
    r"(?P<value>[^<>]*[^<>\s])(?=\s*<)",
    re.IGNORECASE,
)
"""Rows of two cells, and terms with their descriptions: `<th>Token</th><td>…</td>`."""
_ESCAPED_JSON = re.compile(r"(?<![^>])[^<>&]*(?:[{\[]|=\s*+)&(?:quot|#34|#x22);[^<>]*")
"""A text between tags with JSON, as a page shows it."""
_OPENING = re.compile(r"<(?:[\w.-]+:)?([A-Za-z_][\w.-]*)(\s[^<>]*)?>")
_TAG = re.compile(r"<[A-Za-z][\w:.-]*\s[^<>=]*=[^<>]*(?:>|\Z)")
_ATTRIBUTE = re.compile(
    r"""(?<![\w:.-])(?P<name>[\w:.-]++)(?P<equals>\s*+=\s*+)(?:"(?P<double>[^"]*)(?:"|\Z)|'(?P<single>[^']*)(?:'|\Z)|"""
    r"""\\+"(?P<escaped>[^"\\]*)|(?P<bare>[^\s"'=<>`\\]+))"""
)
_ESCAPES: tuple[Callable[[str], str], ...] = (
    html.escape,
    lambda text: html.escape(text).replace("&#x27;", "&#39;"),
    lambda text: html.escape(text).replace("&#x27;", "&#039;"),
    lambda text: html.escape(text).replace("&#x27;", "&#39;").replace("&quot;", "&#34;"),
    lambda text: html.escape(text, quote=False).replace('"', "&quot;"),
)
"""The ways in which Python, Django, PHP, MarkupSafe and others escape a text in an attribute."""
_NAME_ATTRIBUTES = ("name", "id", "key", "property")
_VALUE_NAMES = ("value", "content")
_NOT_A_TEXT_FIELD = re.compile(r"""type\s*=\s*["']?(?:submit|button|checkbox|radio|image|reset)\b""", re.IGNORECASE)

_PASSWORD_FIELD = re.compile(r"""^<input\s[^<>]*?type\s*=\s*["']?password\b""", re.IGNORECASE)


def in_markup(text: str, decider: Decider) -> str:
    """Replace secrets in `<input name=… value=…>`, `<name …>value</name>` and attributes with secret names."""
    text = _KEY_VALUE.sub(lambda found: found[1] + _replaced(found["name"].strip(), found["value"], decider), text)
    text = _CELLS.sub(lambda found: found[1] + _replaced(found["name"].strip(), found["value"], decider), text)
    text = _LABELLED.sub(
        lambda found: found["before"] + _labelled_input(found["name"].strip(" \r\n\t:*"), found["input"], decider), text
    )
    if "<!ENTITY" in text:
        text = _ENTITY.sub(lambda found: found["before"] + _replaced(found["name"], found["value"], decider), text)
    if "<!--" in text:
        text = _COMMENT.sub(lambda found: found["open"] + in_named_lines(found["text"], decider, Place.MEMBER), text)
    text = _ESCAPED_JSON.sub(lambda found: _escaped_json(found[0], decider), text)
    text = _TAG.sub(
        lambda found: _redacted_tag(found[0], decider) if _may_have_secret(found[0], decider) else found[0], text
    )
    has_secret_name = any(_secret_names(name, attributes, decider) for name, attributes in set(_OPENING.findall(text)))
    return _ELEMENT.sub(lambda found: _redacted_element(found, decider), text) if has_secret_name else text


def _escaped_json(source: str, decider: Decider) -> str:
    value = _unescaped(source)
    inner = in_json(value, decider)
    return source if inner == value else _escaped_as(inner, value, source)


def _may_have_secret(tag: str, decider: Decider) -> bool:
    """Return False if no attribute of a tag can have a secret; a fast check."""
    is_named = bool(decider.rules.names or may_be_secret_name(tag))
    return "=" in tag and (is_named or not tag.endswith(">"))


def _secret_names(name: str, attributes: str, decider: Decider) -> list[str]:
    """Return the names of an element, by its tag and its attributes, that may make its text a secret."""
    names = [name, _name_of(attributes) if _may_have_secret(f"{attributes}>", decider) else ""]
    return [name for name in names if decider.grade(name, Place.MEMBER) is not Grade.NONE]


def _redacted_element(found: re.Match[str], decider: Decider) -> str:
    """Return an element with its text replaced if its tag or one of its attributes has the name of a secret."""
    names = _secret_names(found["name"], found["attributes"] or "", decider)
    if not names:
        return found[0]
    value = found["value"]
    text = value if found["open"] or "&" not in value else _unescaped(value)
    for name in names:
        replaced = decider.replace(name, text)
        if replaced != text:
            return found[0][: found.start("value") - found.start()] + replaced
    return found[0]


def _name_of(attributes: str) -> str:
    found = {part["name"].lower(): _text_of(part) for part in _ATTRIBUTE.finditer(attributes)}
    return next((found[name] for name in _NAME_ATTRIBUTES if found.get(name)), "")


def _redacted_tag(tag: str, decider: Decider) -> str:
    """Return a tag with its `value` or `content` replaced if `name` makes it a secret, and secret attributes."""
    name = "" if _NOT_A_TEXT_FIELD.search(tag) else "password" if _PASSWORD_FIELD.search(tag) else _name_of(tag)
    is_cut = not tag.endswith(">")  # the name may be missing: replace random values

    def attribute(part: re.Match[str]) -> str:
        value = _text_of(part)
        lower_name = part["name"].lower()
        if value[:1] in ("{", "[") and (inner := in_json(value, decider)) != value:
            return part[0].replace(_source_of(part), _escaped_as(inner, value, _source_of(part)))
        if lower_name in _VALUE_NAMES and (name or is_cut):
            replaced = decider.replace(name, value, Place.COOKIE if is_cut else Place.MEMBER)
        elif lower_name in (*_NAME_ATTRIBUTES, *_VALUE_NAMES, "type", "class", "for", "autocomplete"):
            return part[0]
        else:
            local_name = part["name"].rpartition(":")[2]
            is_password = "-" not in local_name and decider.grade(local_name, Place.MEMBER) is Grade.PASSWORD
            replaced = decider.replace(local_name, value, Place.MEMBER if is_password else Place.CODE)
        return part[0] if replaced == value else part[0].replace(_source_of(part), replaced)

    return _ATTRIBUTE.sub(attribute, tag)


def _labelled_input(name: str, tag: str, decider: Decider) -> str:
    """Return an input with its value replaced if its label `name` makes it a secret."""
    if decider.grade(name, Place.MEMBER) is Grade.NONE or _NOT_A_TEXT_FIELD.search(tag):
        return tag

    def attribute(part: re.Match[str]) -> str:
        value = _text_of(part)
        replaced = decider.replace(name, value) if part["name"].lower() == "value" else value
        return part[0] if replaced == value else part[0].replace(_source_of(part), replaced)

    return _ATTRIBUTE.sub(attribute, tag)


def _escaped_as(text: str, old: str, source: str) -> str:
    """Return a text escaped for HTML in the way that makes `source` of `old`."""
    return next((escape(text) for escape in _ESCAPES if escape(old) == source), html.escape(text))


def _source_of(part: re.Match[str]) -> str:
    return next(
        text for text in (part["double"], part["single"], part["escaped"], part["bare"], "") if text is not None
    )


def _text_of(part: re.Match[str]) -> str:
    return _unescaped(_source_of(part))


def _unescaped(text: str) -> str:
    """Return a text with its character references decoded; unchanged if one has more digits than Python accepts."""
    try:
        return html.unescape(text)
    except ValueError:
        return text


def _replaced(name: str, value: str, decider: Decider) -> str:
    text = _unescaped(value)
    replaced = decider.replace(name, text)
    return value if replaced == text else replaced
