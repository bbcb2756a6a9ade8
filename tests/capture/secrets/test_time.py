"""The time that redaction takes grows no faster than what a peer sends.

No pattern looks through the rest of a text from each of its places.
"""

import gc
import time
from collections.abc import Callable, Iterator
from itertools import product

import pytest

from proxy_policies.capture.bodies.parsed_body import parse
from proxy_policies.capture.locations import values_in_response
from proxy_policies.capture.model import Body, Response
from proxy_policies.capture.secrets import (
    redact_adjacent,
    redact_base64,
    redact_calls,
    redact_columns,
    redact_commands,
    redact_csv,
    redact_html_tables,
    redact_json,
    redact_lengths,
    redact_lines,
    redact_markup,
    redact_multipart,
    redact_pairs,
    redact_sql,
    redact_text,
    redact_text_tables,
)
from proxy_policies.capture.secrets.decider import Decider, Place
from proxy_policies.capture.secrets.known_secrets import CHUNK_SIZE, KnownSecrets
from proxy_policies.capture.secrets.marks import compile_marks
from proxy_policies.capture.secrets.names import grade
from proxy_policies.capture.secrets.redact_message import MessageRedactor
from proxy_policies.capture.secrets.rules import parse_rules
from proxy_policies.capture.secrets.shapes import in_shapes
from proxy_policies.capture.streams.events import rewrite
from proxy_policies.capture.streams.frames import FrameFormat

LENGTH = 3000  # characters; the longer text has four times as many
FLOOR = 0.02  # seconds of CPU for the longer text: what takes less is not looked at
GROWTH = 9  # times as long for four times as much; where each character costs all of those before it, it is 16

DECIDER = Decider(parse_rules(()), lambda secret, rule: "x", is_response=False)
HTML = (("content-type", "text/html"),)
MULTIPART = (("content-type", "multipart/mixed; boundary=b"),)
PARTS: dict[str, Callable[[str], object]] = {
    "url": lambda text: redact_text.in_url(text, DECIDER),
    "form": lambda text: redact_text.in_form(text, DECIDER),
    "is it a form": redact_text.is_form,
    "cookies": lambda text: redact_text.in_cookies(text, DECIDER),
    "set-cookie": lambda text: redact_text.in_set_cookie(text, DECIDER),
    "lines": lambda text: redact_text.in_lines(text, DECIDER),
    "assignments": lambda text: redact_text.in_assignments(text, DECIDER, Place.CODE),
    "commands": lambda text: redact_commands.in_commands(f"curl -H {text}", DECIDER, Place.MEMBER),
    "tight": lambda text: redact_text.in_tight_pairs(text, DECIDER, Place.MEMBER),
    "links": lambda text: redact_text.in_links(text, DECIDER),
    "plain": lambda text: redact_lines.in_named_lines(text, DECIDER, Place.MEMBER),
    "json": lambda text: redact_json.in_json(text, DECIDER),
    "variables": lambda text: redact_calls.with_secret_variables(text, DECIDER),
    "columns": lambda text: redact_columns.in_columns(text, DECIDER),
    "positions": lambda text: redact_calls.in_positions(text, DECIDER),
    "defaults": lambda text: redact_calls.in_defaults(text, DECIDER),
    "strings": lambda text: redact_json.in_strings(text, compile_marks("form-data;", "\\"), str),
    "pairs": lambda text: redact_pairs.in_pairs(text, DECIDER),
    "prose": lambda text: redact_lines.in_prose(text, DECIDER),
    "is it a table": redact_csv.is_table,
    "markup": lambda text: redact_markup.in_markup(text, DECIDER),
    "table": lambda text: redact_csv.in_table(text, DECIDER),
    "base64": lambda text: redact_base64.in_base64(text, str),
    "part of a multipart": lambda text: redact_multipart.in_multipart(
        f"--b\r\n{text}\r\n\r\n".encode(), "multipart/mixed; boundary=b", DECIDER, lambda content, mime: content
    ),
    "event": lambda text: rewrite(text.encode(), FrameFormat.EVENTS, str),
    "locations": lambda text: list(values_in_response(Response(200, headers=HTML, body=Body(text.encode())))),
    "parts": lambda text: parse(Body(f"--b\r\n{text}\r\n\r\n".encode()), MULTIPART),
    "tables": lambda text: redact_text_tables.in_text_tables(text, DECIDER),
    "tables of HTML": lambda text: redact_html_tables.in_html_tables(text, DECIDER),
    "lengths": lambda text: redact_lengths.in_lengths(text, DECIDER),
    "SQL": lambda text: redact_sql.in_sql(text, DECIDER),
    "adjacent": lambda text: redact_adjacent.in_adjacent(text, DECIDER, is_code=False),
    "adjacent in code": lambda text: redact_adjacent.in_adjacent(text, DECIDER, is_code=True),
    "shapes": lambda text: in_shapes(text, str),
}
TYPES = ["text/plain", "application/json", "application/x-www-form-urlencoded", "text/csv", "application/xml"]
TYPES += ["multipart/form-data; boundary=b", "text/event-stream", "application/javascript", "application/yaml", ""]

PIECES = [*";\n\r&=,\"'\\<>{[(-_.+/:@ \t\0aé?#", "%", "%3B", "%22", "%253D", "%3A%2F%2F", "%40", "key=", "a=b&", ";a=b"]
PIECES += ["authorization", "token", "password", "cookie:", "Bearer ", '"a":', '\\"', "\\u0022", "&quot;", "${", "``"]
PIECES += ["--b\r\n", '<a b="', "<token>", "<!--", "<![CDATA[", "://", "/token/", "eyJ", "/eyJaaaaaaaa", '"params":[']
PIECES += ["-----BEGIN PRIVATE KEY-----", "a: |\n", "token:$a,", '"name":"a",', "data: a\n", "$a:", "&=a"]
PIECES += [
    "--",
    "--a ",
    "-u a",
    "'a:",
    '("',
    '("a",',
    "login",
    "default login a password",
    "<th>",
    "H4sI",
    "--a=",
    '["a","=",',
]
PIECES += ["content-disposition:", "content-disposition: name", "<input ", "data\n"]
PIECES += [
    '{"name":"token",',
    '"value":"a",',
    "- name: token\n",
    "  value: a\n",
    "token:\n",
    "- a\n",
    "a: a: ",
    "&a !a ",
]
PIECES += [
    "token|a\n",
    "a  token  b\n",
    "token,",
    "token;b\n",
    "mysql ",
    "mysql -",
    "8:password",
    's:8:"password";s:1:"',
]
PIECES += [
    "INTO u (token) VALUES ('a'),",
    "INTO u (",
    "('a'",
    "COPY u (token) FROM stdin\n",
    "<tr><th>token",
    "token is ",
    "0a0a",
]
PAIRS = [";a", "\r\n", "= ", ": ", "<token><!--", "<a =", "cookie: a;", "password='", '"a" :', "- ", "; "]
FRAMES = [  # what stands before the repeated piece and behind it, where that alone shows nothing
    *((begin, piece, "<b") for begin, piece in product(["<token>", "<token x=1 ", "a="], [" ", "a", "&=a", "é"])),
    *(("cookie:", piece, "") for piece in (" ", "\t", "a", ";")),
    *(("x=", piece, "x") for piece in (";", "\n", "\r", ";\r\n", ";&")),
    *(('\\"', piece, "") for piece in ("\\", "\\\\\\ ", "u0022")),
    ('"method":"login"', '"params":[', ""),
    ("", '"columns":["token"],"rows":[', ""),
    ('"columns":["token"],', '"rows":[', ""),
    ("", '"columns":[{"name":"token",', ""),
    ("", "/eyJaaaaaaaa", ".a"),
    ("", " ", "password: |"),
    ("\n", "\t", "{"),
]
TEXTS = [("", piece, "") for piece in PIECES + PAIRS] + FRAMES


@pytest.fixture(autouse=True)
def without_collections() -> Iterator[None]:
    """Measure no garbage collection: the whole suite's garbage counts for that."""
    gc.disable()
    yield
    gc.enable()


def written(text: tuple[str, str, str], length: int) -> str:
    begin, piece, end = text
    return begin + (piece * (length // len(piece) + 1))[:length] + end


def seconds(look: Callable[[str], object], text: str) -> float:
    """Return the CPU time of this thread, which other processes do not add to."""
    began = time.thread_time()
    look(text)
    return time.thread_time() - began


def least(look: Callable[[str], object], text: str) -> float:
    return min(seconds(look, text) for _ in range(5))


def growing(look: Callable[[str], object]) -> Iterator[str]:
    """Yield the texts that take longer than they are longer."""
    for text in TEXTS:
        short, long = written(text, LENGTH), written(text, 4 * LENGTH)
        if seconds(look, written(text, 60)) > FLOOR and least(look, written(text, 60)) > FLOOR:
            yield f"{text} at once"
        elif seconds(look, long) > FLOOR and least(look, long) > max(FLOOR, GROWTH * least(look, short)):
            yield str(text)


@pytest.mark.parametrize("look", PARTS.values(), ids=PARTS)
def test_a_longer_text_takes_no_longer_than_it_is_longer(look: Callable[[str], object]) -> None:
    assert list(growing(look)) == []


@pytest.mark.parametrize("mime", TYPES)
def test_content_of_each_type_takes_time_as_it_is_long(mime: str) -> None:
    assert list(growing(lambda text: MessageRedactor(DECIDER).content(text.encode(), mime))) == []


def test_secrets_that_begin_alike_are_looked_for_once() -> None:
    known = KnownSecrets()
    for number in range(100):
        known.add(f"{'a' * 500}{number:08d}", "x")

    def look(text: str) -> object:
        return known.within([text])

    short = f"{'a' * 499}b" * (2 * CHUNK_SIZE // 500)  # in two pieces, and four times as much in eight
    look("")
    assert least(look, 4 * short) < max(FLOOR, GROWTH * least(look, short))


def test_names_of_variables_are_compared_with_few() -> None:
    def look(text: str) -> object:
        grade.cache_clear()
        return redact_json.in_json(text, redact_calls.with_secret_variables(text, DECIDER))

    def query(count: int) -> str:
        passed = ",".join(f"password:$v{number}" for number in range(count))
        return passed + ",".join(f'"n{number}":"a"' for number in range(count))

    assert least(look, query(1200)) < max(FLOOR, GROWTH * least(look, query(300)))
