"""Redact texts: URLs, forms, cookies, credentials, assignments in scripts, header lines in output of programs.

All other characters are unchanged.
"""

import re
from collections.abc import Callable, Iterator
from string import ascii_letters, digits
from urllib.parse import quote, quote_plus, unquote, unquote_plus

from proxy_policies.capture.secrets.decider import Decider, Place
from proxy_policies.capture.secrets.names import Grade
from proxy_policies.capture.secrets.placeholders import PLACEHOLDER
from proxy_policies.capture.secrets.redact_json import in_json
from proxy_policies.capture.secrets.redact_paths import in_paths
from proxy_policies.capture.secrets.secret_words import may_have_secret_word
from proxy_policies.capture.secrets.values import is_random

_USERINFO = re.compile(r"://(?<=[A-Za-z0-9+.-]://)(?P<info>[^/?#@\s\"'<>]+)@")
_ENCODED_USERINFO = re.compile(
    r"(?P<before>%(?i:3A%2F%2F(?:(?!%3A|%2F|%40)[^&#;/\s\"'<>])+%3A))(?P<password>(?:(?!%2[fF]|%40)[^&#;/\s\"'<>])+)%40"
)
_PARAMETER = re.compile(
    r"([?&#;6](?:(?<=[?&#;])|(?<=\\u0026)))([^=&#?;\s\"'<>\\]{1,200})(=|\\u003[dD])"
    r"([^&#;?\s\"'<>\\]*+(?:\?(?![\w.%\[\]-]{1,100}=)[^&#;?\s\"'<>\\]*+)*+)"
)
"""A value ends before a query in it: `;sid=…?page=2`, `url=/x?token=…`.

In JSON, .NET escapes & as `\\u0026`, and Gson = as `\\u003d`. The pattern begins with few characters, for speed."""
_PAIR_END = re.compile(r"(&|(?<![;\r\n])[;\r\n]++(?=[^&;=\s]{1,200}=))")
_NESTED = re.compile(r"(?i)%(?:25)*(?:3F|26|23)([\w.~+-]{1,100})%(?:25)*3D((?:(?!%(?:25)*(?:26|23))[^&#;\s\"'<>\\])+)")
_ASSIGNMENT_SIGN = re.compile(r"[:=]>?\s*+(?P<quote>(?P<one>\\*+[\"'`])(?:(?P=one){2})?)")
"""Three quotes begin a block string in GraphQL, TOML and Python."""
_BLOCK_QUOTES = ('"""', "'''", "```")
"""Quotes of texts of several lines."""
_JSON_START = re.compile(r'\s*(?:\{\s*["}]|\[\s*(?:[\[{"\]\d-]|true|false|null))')
_JSON_VALUE = re.compile(r"(?i)%(?:25){0,4}(?:7b|5b)|[{\[]")
_ENCODED_JSON = re.compile(r"(?i)(?<=[#,/])%(?:7b|5b)[\w.~%!*'(),:;+/-]+")
"""JSON in a URL that has no name: after `data:application/json,`, in a fragment, as a segment."""
_BARE_PAIR = re.compile(
    r"(?P<before>(?P<name>(?<![\w.$-])[A-Za-z_][\w.-]{1,99})(?:=|=[ \t]|[ \t]=(?!=)[ \t]?|[ \t]?(?::=|=>)[ \t]?))"
    r"(?P<value>(?![bruBRU][\"'])[^\s&;,\"'<>(){}\[\]\\]+)(?![\w(])"
)
_TIGHT_PAIR = re.compile(r"=(?<=[\w.-]=)(?P<value>[^\s&;,\"'<>(){}\[\]\\=][^\s&;,\"'<>(){}\[\]\\]*+)(?!\()")
_NAME_CHARACTERS = f"{ascii_letters}{digits}_$-"
MAX_ENCODINGS = 5
"""Maximum number of times that a value is percent-encoded to be searched, as in a URL in a URL."""
MAX_NAME_LENGTH = 100  # characters before a sign that are searched for a name
_BEFORE_PARAMETER = ("?", "&", "#", ".", "%")  # the character before the name of a parameter
_CREDENTIALS_LINE = re.compile(
    r"(?i)(?P<before>\bauthorization\\*[\"']?\s*[:=]\s*\\*[\"']?)(?P<scheme>[A-Za-z][\w-]*[ \t]+)?"
    r"(?P<value>(?:[\w-]+=\\*\"[^\"\r\n]{0,500}\"(?:,\s*)?)+|[^\s\"'\\<>,]+)"
)
_BEARER = re.compile(r"(?P<before>\b(?:Bearer|Basic)[ \t]+)(?P<value>[A-Za-z0-9._~+/=-]{8,})")
_COOKIE_LINE = re.compile(
    r"(?i)(?P<before>(?P<set>(?<=set-))?\bcookie\\*[\"']?:\s*+\\*+[\"']?+)(?P<value>(?:(?!cookie:)[^\r\n\"'\\<>=])*+=[^\r\n\"'\\<>]*+)"
)
"""A match ends before the next `cookie:`, so that a line with many of them takes linear time."""
_FORM = re.compile(r"[\w.\[\]%+~-]++=[^\s\"'<>{}]*+\s*+")


def is_form(text: str) -> bool:
    """Return whether a text looks like an application/x-www-form-urlencoded body."""
    return "=" in text[:200] and bool(_FORM.fullmatch(text))


def in_url(url: str, decider: Decider) -> str:
    """Replace credentials in the authority, tokens in the path, and secrets in the query and the fragment."""
    return in_parameters(in_paths(in_userinfo(url, decider), decider), decider)


def in_userinfo(text: str, decider: Decider) -> str:
    """Replace the credentials of each URL in a text (RFC 3986 section 3.2.1), percent-encoded or not."""
    if "%40" in text:
        text = _ENCODED_USERINFO.sub(
            lambda found: f"{found['before']}{_encoded('password', found['password'], decider)}%40", text
        )
    if "@" not in text or "://" not in text:
        return text
    return _USERINFO.sub(lambda found: f"://{_userinfo(found['info'], decider)}@", text)


def _userinfo(text: str, decider: Decider) -> str:
    """Replace the password, and a user that is a token: `https://TOKEN@host`, `TOKEN:x-oauth-basic`."""
    user, colon, password = text.partition(":")
    plain = unquote(user)
    replaced = decider.replace("token", plain, Place.CODE) if is_random(plain) else plain
    user = user if replaced == plain else replaced
    if not colon or (user != text.partition(":")[0] and not is_random(password)):
        return f"{user}{colon}{password}"
    return f"{user}:{_encoded('password', password, decider)}"


def in_parameters(text: str, decider: Decider) -> str:
    """Replace secrets in `?name=value&…` in any text: a URL in a header, a link in a page."""
    if _may_have_parameters(text):
        text = _PARAMETER.sub(
            lambda found: f"{found[1]}{found[2]}{found[3]}{_parameter(found[2], found[4], decider)}", text
        )
    if "%22" in text:
        text = _ENCODED_JSON.sub(lambda found: _parameter("", found[0], decider), text)
    return _in_nested(text, decider)


def _may_have_parameters(text: str) -> bool:
    return "=" in text or "\\u003" in text


def in_links(text: str, decider: Decider) -> str:
    """Replace random secrets in parameters within code, where `a;token=b` is an assignment."""

    def parameter(found: re.Match[str]) -> str:
        value = unquote_plus(found[4])
        replaced = decider.replace(unquote_plus(found[2]), value, Place.CODE)
        return found[0] if replaced == value else f"{found[1]}{found[2]}{found[3]}{replaced}"

    return _in_nested(_PARAMETER.sub(parameter, text) if _may_have_parameters(text) else text, decider)


def _in_nested(text: str, decider: Decider) -> str:
    """Replace secrets of a URL that is itself the value of a parameter: `next=%2Fx%3Ftoken%3D…`."""

    def replace(found: re.Match[str]) -> str:
        value = found[2]
        plain = unquote(unquote(value))
        replaced = decider.replace(unquote(found[1]), plain, Place.FIELD)
        return found[0] if replaced == plain else found[0][: len(found[0]) - len(value)] + replaced

    return _NESTED.sub(replace, text) if "%" in text and "3" in text else text


def in_form(text: str, decider: Decider) -> str:
    """Replace secrets in an application/x-www-form-urlencoded body; a line feed at its end is not part of a value."""
    pairs = text.rstrip()
    return "".join([_form_pair(piece, decider) for piece in _PAIR_END.split(pairs)]) + text[len(pairs) :]


def _form_pair(pair: str, decider: Decider) -> str:
    name, equals, value = pair.partition("=")
    return f"{name}={_parameter(name, value, decider)}" if equals else pair


def _parameter(name: str, value: str, decider: Decider) -> str:
    """Replace a parameter's value, or the secrets in it: in JSON, a GraphQL query, a pair; encoded repeatedly."""
    replaced = _encoded(name, value, decider)
    return replaced if replaced != value else _in_encoded(value, decider, MAX_ENCODINGS)


def _in_encoded(value: str, decider: Decider, times: int) -> str:
    """Return a value, encoded up to this number of times, without the secrets in it."""
    if not (_JSON_VALUE.match(value) or may_have_secret_word(value)):
        return value
    plain = inner = unquote_plus(value)
    if plain[:1] != "%":
        inner = in_bare_pairs(in_assignments(in_json(plain, decider), decider, Place.MEMBER), decider)
    if inner == plain and plain != value and "%" in plain and times > 1:
        inner = _in_encoded(plain, decider, times - 1)
    return value if inner == plain else _encoded_as(plain, value, inner)


def _encoded_as(plain: str, value: str, text: str) -> str:
    """Return a text percent-encoded as `plain` is in `value`: programs differ in which characters they encode."""
    encode = quote_plus if " " in plain and "+" in value else quote
    return encode(text, safe="".join({*value} - {"%", "+"}), errors="surrogateescape")


def in_expressions(query: str, redact: Callable[[str], str]) -> str:
    """Return a query or a form with `redact` applied to values that are texts: `$filter=password eq '…'`."""
    return "".join([_expression(piece, redact) for piece in _PAIR_END.split(query)])


def _expression(pair: str, redact: Callable[[str], str]) -> str:
    name, equals, value = pair.partition("=")
    if not equals or not may_have_secret_word(value) or PLACEHOLDER.fullmatch(value):
        return pair
    plain = unquote_plus(value)
    replaced = redact(plain)
    return pair if replaced == plain else f"{name}={_encoded_as(plain, value, replaced)}"


def _encoded(name: str, value: str, decider: Decider) -> str:
    """Replace a percent-encoded value; return it unchanged if it is not a secret."""
    plain = unquote_plus(value)
    replaced = decider.replace(unquote_plus(name), plain, Place.FIELD)
    return value if replaced == plain else quote(replaced, safe="")


def in_cookies(text: str, decider: Decider) -> str:
    """Replace the secrets in a Cookie field (RFC 6265 section 4.2), including cookies without `=`."""
    return ";".join(_cookie(part, decider) for part in text.split(";"))


def in_set_cookie(text: str, decider: Decider) -> str:
    """Replace the value in a Set-Cookie field, keeping the attributes (RFC 6265 section 4.1)."""
    pair, semicolon, attributes = text.partition(";")
    return f"{_cookie(pair, decider)}{semicolon}{in_url(in_bare_pairs(attributes, decider), decider)}"


def _cookie(pair: str, decider: Decider) -> str:
    name, equals, value = pair.partition("=")
    if not equals:
        name, value = "", pair
    bare = value.strip().strip('"')
    replaced = decider.replace(name.strip(), unquote(bare), Place.COOKIE)
    if replaced == unquote(bare):
        return f"{name}{equals}{in_parameters(value, decider)}" if equals else pair
    return f"{name}{equals}{value.replace(bare, replaced, 1)}"


def in_lines(text: str, decider: Decider) -> str:
    """Replace credentials in header lines within a body: an error page, a log, a curl command."""
    lower = text.lower()
    if "authorization" in lower:
        text = _replace_at("authorization", _CREDENTIALS_LINE, text, lambda found: _credentials(found, decider))
    if "Bearer " in text or "Basic " in text:
        text = _BEARER.sub(lambda found: found["before"] + decider.replace("bearer", found["value"], Place.CODE), text)
    if "cookie" in lower:
        text = _replace_at("cookie", _COOKIE_LINE, text, lambda found: _cookie_line(found, decider))
    return text


def _replace_at(word: str, pattern: re.Pattern[str], text: str, replace: Callable[[re.Match[str]], str]) -> str:
    """Replace matches that begin with a word, in any case: faster than a search of `re` that ignores case."""
    lower = text.lower()
    if len(lower) != len(text):  # as with İ, which has two characters in lower case
        return pattern.sub(replace, text)
    pieces: list[str] = []
    done, at = 0, lower.find(word)
    while at >= 0:
        found = pattern.match(text, at)
        if found is not None:
            pieces += (text[done:at], replace(found))
            done = found.end()
        at = lower.find(word, max(done, at + 1))
    return "".join((*pieces, text[done:]))


def _credentials(found: re.Match[str], decider: Decider) -> str:
    value = found["value"]
    place = Place.MEMBER if found["scheme"] else Place.CODE
    return f"{found['before']}{found['scheme'] or ''}{decider.replace('authorization', value, place)}"


def _cookie_line(found: re.Match[str], decider: Decider) -> str:
    replaced = (in_set_cookie if found["set"] is not None else in_cookies)(found["value"], decider)
    return f"{found['before']}{replaced}"


def in_assignments(text: str, decider: Decider, place: Place) -> str:
    """Replace secrets in `csrfToken = '…'`, GraphQL's `login(password: "…")`, `token="…"`, escaped or not."""
    is_json = _JSON_START.match(text)  # its members are redacted already, but not assignments within its strings
    if not any(quote in text for quote in (("'", '\\"') if is_json else ("'", '"', "`"))):
        return text

    pieces: list[str] = []
    done = 0
    for name, begin, end in _assigned(text):
        replaced = decider.replace(name, text[begin:end], place)
        if replaced != text[begin:end]:
            pieces += (text[done:begin], replaced)
            done = end
    return "".join((*pieces, text[done:])) if pieces else text


def _assigned(text: str) -> Iterator[tuple[str, int, int]]:
    """Yield each name that a quoted text of one line is assigned to, and the indexes of the text's start and end.

    It searches for the sign, which is rarer than names.
    """
    done = line_end = 0
    for sign in _ASSIGNMENT_SIGN.finditer(text):
        begin = sign.end()
        if sign.start() < done:
            continue
        name = last_name(text[done : sign.start()])
        if begin > line_end:
            line_end = text.find("\n", begin) % (len(text) + 1)
        is_block = sign["quote"] in _BLOCK_QUOTES and sign[0][0] == "="
        last = len(text) if is_block else line_end
        end = text.find(sign["quote"], begin, last) if 2 <= len(name) <= 200 else -1
        done = begin
        if end >= 0:
            yield name, begin, end
            done = end + len(sign["quote"])


def last_name(text: str) -> str:
    """Return the name at the end of a text, ignoring spaces after it; empty if there is none."""
    text = text.rstrip(" \t\r\n=!<>~").removesuffix("'")
    start = len(text.rstrip(_NAME_CHARACTERS))
    while start and (text[start - 1].isalnum() or text[start - 1] in "_$-"):
        start -= 1
    is_escape = text[start - 1 : start] == "\\" and text[start : start + 1] in ("n", "r", "t")
    return text[start + is_escape :]


def in_bare_pairs(text: str, decider: Decider) -> str:
    """Replace secrets in `name=value` without quotes."""
    if "=" not in text:
        return text
    return _BARE_PAIR.sub(lambda found: found["before"] + decider.replace(found["name"], found["value"]), text)


def in_tight_pairs(text: str, decider: Decider, place: Place) -> str:
    """Replace secrets in `name=value` within strings, as JSON has connection strings and environment variables.

    Parameters of URLs are excluded; `in_parameters` redacts them.
    """

    def pair(found: re.Match[str]) -> str:
        before = text[max(0, found.start() - MAX_NAME_LENGTH) : found.start()]
        name = last_name(before)
        if before[-len(name) - 1 : -len(name)] in _BEFORE_PARAMETER or decider.grade(name, place) is Grade.NONE:
            return found[0]
        plain = unquote_plus(found["value"])
        replaced = decider.replace(name, plain, place)
        return found[0] if replaced == plain else f"={replaced}"

    return _TIGHT_PAIR.sub(pair, text) if "=" in text else text
