"""Finding secrets inside texts: URLs, forms, cookies, JSON members wherever they stand, HTML inputs.

Every function takes `replace(name, secret) -> str`, which returns what is to stand in place of a value (the
value itself when it is no secret), and leaves every other character of the text as it was.
"""

import json
import re
from collections.abc import Callable
from urllib.parse import quote, unquote_plus

Replace = Callable[[str, str], str]

_STRING = r'"(?:[^"\\]|\\.)*"'
_NUMBER = r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?"
_MEMBER = re.compile(rf"({_STRING})(\s*:\s*)({_STRING}|{_NUMBER}|\[(?:\s*{_STRING}\s*,?)+\s*\])")
_ITEM = re.compile(_STRING)
_INPUT = re.compile(r"<(?:input|meta)\b[^>]*>", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"""(\b(?:name|id|value|content)\s*=\s*)(?:"([^"]*)"|'([^']*)')""", re.IGNORECASE)
_ELEMENT = re.compile(r"<([A-Za-z_][\w.:-]*)>([^<>]+)</\1>")
_USERINFO = re.compile(r"^([a-z][a-z0-9+.-]*://)([^/?#@]*)@", re.IGNORECASE)
_PARAMETER = re.compile(r"(?<=[?&#;])([^=&#?;\s\"'<>]+)=([^&#;\s\"'<>]*)")


def in_url(url: str, replace: Replace) -> str:
    """Replace a password in the authority, and secrets in the query and the fragment."""
    url = _USERINFO.sub(lambda found: f"{found[1]}{_userinfo(found[2], replace)}@", url)
    return in_parameters(url, replace)


def _userinfo(text: str, replace: Replace) -> str:
    user, colon, password = text.partition(":")
    return f"{user}:{replace('password', password)}" if colon else text


def in_parameters(text: str, replace: Replace) -> str:
    """Replace secrets in `?name=value&…` wherever a text holds it: a URL in a header, a link in a page."""
    return _PARAMETER.sub(lambda found: f"{found[1]}={_encoded(found[1], found[2], replace)}", text)


def in_form(text: str, replace: Replace) -> str:
    """Replace secrets in an application/x-www-form-urlencoded body."""
    return "&".join(_form_pair(pair, replace) for pair in text.split("&"))


def _form_pair(pair: str, replace: Replace) -> str:
    name, equals, value = pair.partition("=")
    return f"{name}={_encoded(name, value, replace)}" if equals else pair


def _encoded(name: str, value: str, replace: Replace) -> str:
    """Replace a percent-encoded value, keeping its spelling when it is no secret."""
    plain = unquote_plus(value)
    replaced = replace(unquote_plus(name), plain)
    return value if replaced == plain else quote(replaced, safe="")


def in_cookies(text: str, replace: Replace) -> str:
    """Replace every cookie's value in a Cookie field (RFC 6265 section 4.2)."""
    return "; ".join(in_set_cookie(part.strip(), replace) for part in text.split(";"))


def in_set_cookie(text: str, replace: Replace) -> str:
    """Replace the value in a Set-Cookie field, keeping the attributes (RFC 6265 section 4.1)."""
    pair, semicolon, attributes = text.partition(";")
    name, equals, value = pair.partition("=")
    return f"{name}{equals}{replace(name, value)}{semicolon}{attributes}" if equals else text


def in_credentials(text: str, replace: Replace) -> str:
    """Replace the credentials after the scheme of an Authorization field (RFC 9110 section 11.4)."""
    scheme, space, rest = text.partition(" ")
    return f"{scheme} {replace('authorization', rest)}" if space else replace("authorization", text)


def in_json(text: str, replace: Replace) -> str:
    """Replace secrets in JSON members, anywhere in a text: a body, a line of NDJSON, an SSE event, a script."""
    return _MEMBER.sub(lambda found: f"{found[1]}{found[2]}{_json_value(_loads(found[1]), found[3], replace)}", text)


def _json_value(name: str, source: str, replace: Replace) -> str:
    if source.startswith("["):
        return _ITEM.sub(lambda item: _json_value(name, item[0], replace), source)
    if not source.startswith('"'):
        replaced = replace(f"{name}#", source)
        return source if replaced == source else json.dumps(replaced)
    value = _loads(source)
    replaced = replace(name, value)
    return source if replaced == value else json.dumps(replaced)


def _loads(source: str) -> str:
    if "\\" not in source:
        return source[1:-1]
    try:
        return str(json.loads(source, strict=False))
    except ValueError:
        return source[1:-1]


def in_markup(text: str, replace: Replace) -> str:
    """Replace secrets in `<input name=… value=…>`, `<meta name=… content=…>` and `<name>value</name>`."""
    text = _INPUT.sub(lambda found: _tag(found[0], replace), text)
    return _ELEMENT.sub(lambda found: f"<{found[1]}>{replace(found[1], found[2])}</{found[1]}>", text)


def _tag(tag: str, replace: Replace) -> str:
    found = {part[1].split("=")[0].strip().lower(): part[2] or part[3] or "" for part in _ATTRIBUTE.finditer(tag)}
    name = found.get("name") or found.get("id") or ""

    def attribute(part: re.Match[str]) -> str:
        value = part[2] if part[2] is not None else part[3]
        is_value = part[1].lower().startswith(("value", "content"))
        return part[0].replace(value, replace(name, value)) if is_value and value else part[0]

    return _ATTRIBUTE.sub(attribute, tag)


def in_multipart(text: str, replace: Replace) -> str:
    """Replace secrets in the fields of a multipart/form-data body (RFC 7578)."""
    return _PART.sub(lambda found: f"{found[1]}{replace(found[2], found[3])}{found[4]}", text)


_PART = re.compile(
    r'(content-disposition:\s*form-data;\s*name="([^"]*)"\r\n(?:[^\r\n]+\r\n)*\r\n)(.*?)(\r\n--)',
    re.IGNORECASE | re.DOTALL,
)
