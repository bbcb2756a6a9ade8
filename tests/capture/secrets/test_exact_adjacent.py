"""A random value that belongs to a secret name is gone in any notation, and everything else is byte for byte there."""

from collections.abc import Callable, Sequence

from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.capture.secrets.placeholders import Placeholders
from proxy_policies.capture.secrets.redact import Redactor, parse_rules
from proxy_policies.capture.secrets.values import is_random

KEY = Placeholders(b"k" * 32)
Pairs = Sequence[tuple[str, str]]

SECRET_NAMES = ["password", "newPassword", "user_password", "clientsecret", "accesstoken", "access_token", "X-ApiToken"]
PLAIN_NAMES = ["author", "keyboard", "page", "token_type", "password_policy", "city", "assessment"]
PLAIN_VALUES = ["Berlin", "10000001", "2026-11-28", "mac", "supported", "OAuth2", "nike-air-max-90"]
TOKENS = st.one_of(
    st.from_regex(r"[0-9a-f]{8}[a-f][0-9][a-f][0-9][0-9a-f]{8,40}", fullmatch=True),
    st.builds("Q{}-7Qx9{}".format, st.text("abcdefgXYZ019_", min_size=8, max_size=30), st.text("aZ9", max_size=6)),
).filter(is_random)


def separated(separator: str) -> Callable[[Pairs], str]:
    end = separator[-1] if separator[-1] in "'\"" else ""
    return lambda pairs: "".join(f"the {name}{separator}{value}{end}\n" for name, value in pairs)


def keywords(pairs: Pairs) -> str:
    return "{" + ", ".join(f':user/{name} "{value}"' for name, value in pairs) + "}"


def directives(pairs: Pairs) -> str:
    return "FROM debian\n" + "".join(f"ENV {name} {value}\nRUN make\n" for name, value in pairs)


def aligned(pairs: Pairs) -> str:
    rows = [["city", "Bonn"], *pairs]
    widths = [max(map(len, row)) + 2 for row in rows]
    lines = [
        [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)] for cells in zip(*rows, strict=True)
    ]
    return "".join("".join(line).rstrip() + "\n" for line in lines) + "\nthe end\n"


def framed(pairs: Pairs) -> str:
    names, values = zip(("city", "Bonn"), *pairs, strict=True)
    lines = [f"| {' | '.join(names)} |", f"|{'---|' * len(names)}", f"| {' | '.join(values)} |"]
    return "# Cities\n\n" + "\n".join(lines) + "\n\nBonn\n"


def of_psql(pairs: Pairs) -> str:
    names, values = zip(("city", "Bonn"), *pairs, strict=True)
    return (
        f" {' | '.join(names)} \n{'+'.join('-' * (len(name) + 2) for name in names)}\n {' | '.join(values)}\n(1 row)\n"
    )


def of_html(pairs: Pairs) -> str:
    names, values = zip(("city", "Bonn"), *pairs, strict=True)
    heads, cells = "".join(f"<th>{name}</th>" for name in names), "".join(f"<td><b>{cell}</b></td>" for cell in values)
    return f"<table><thead><tr>{heads}</tr></thead>\n<tr>{cells}</tr><tr>{cells}</tr></table>"


def late(pairs: Pairs) -> str:
    names, values = zip(("city", "Bonn"), *pairs, strict=True)
    return f"# of 2026\n{','.join(names)}\n{','.join(values)}\n{','.join(values)}\n"


STRUCTURES: dict[str, Callable[[Pairs], str]] = {
    **{f"after {mark!r}": separated(mark) for mark in (" ", "\t", " is ", " => ", " | ", "\x1f", " -> ", ' "', " 0 ")},
    **{f"after {mark!r}": separated(mark) for mark in (" ] => ", ' =>\n  string(16) "', " => b'", " := ", " LIKE '")},
    "keywords": keywords,
    "directives": directives,
    "aligned": aligned,
    "framed": framed,
    "psql": of_psql,
    "html": of_html,
    "below a comment": late,
}
secrets = st.tuples(st.sampled_from(SECRET_NAMES), TOKENS, st.just(True))
plain = st.tuples(st.sampled_from(PLAIN_NAMES), st.one_of(TOKENS, st.sampled_from(PLAIN_VALUES)), st.just(False))
both = st.lists(
    st.one_of(secrets, plain), min_size=1, max_size=4, unique_by=(lambda item: item[0], lambda item: item[1][:10])
)


def redacted(text: str) -> str:
    return Redactor(parse_rules(()), KEY).text(text, "text/html" if text.startswith("<") else "text/plain")


@given(st.sampled_from(sorted(STRUCTURES)), both)
def test_random_values_of_secret_names_are_replaced(name: str, found: list[tuple[str, str, bool]]) -> None:
    before = [(name, value) for name, value, _ in found]
    after = [(name, KEY.of(value) if is_secret else value) for name, value, is_secret in found]
    once, expected = redacted(STRUCTURES[name](before)), STRUCTURES[name](after)
    assert words(once) == words(expected)  # spaces that align columns stay as they were
    assert redacted(once) == once


def words(text: str) -> list[str]:
    return text.split()
