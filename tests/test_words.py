"""Words that were replaced by standard ones must not be used again, as a name or in prose."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "addons" / "proxy_policies"

REPLACED = {
    "desk": "engine, connection",
    "visit": "transaction, session",
    "visitor": "client",
    "tower": "Collapser",
    "tape": "Cassette",
    "shelf": "EntryIndex",
    "shelves": "a mapping, by its key",
    "spool": "ResultFile",
    "vault": "SecretValues",
    "spot": "Location",
    "home_port": "command listener",
    "entrance": "client listener",
    "stranger": "unauthenticated peer",
    "strangers": "unauthenticated peers",
    "seldom": "LogThrottle",
    "nobody": "a null object",
    "farewell": "close frame",
    "heart": "Keepalive",
    "wishes": "options",
    "greeting": "startup summary",
    "unhurried": "in_background",
    "idle_without": "only_if",
    "heed": "handle",
    "welcome_in": "accept",
    "likeness": "similarity",
    "unplayable": "cannot_replay",
    "careful": "FailSafeStore",
    "nearby": "HotBodies",
    "treatment": "RuleEffects",
    "mover": "transfer",
    "preamble": "header",
    "patience": "a time-out of its own name",
    "untried": "untested",
    "doubts": "warnings",
    "tells": "what is sent",
    "relieve": "drop_queued",
    "lately": "recent",
    "untaken": "failed",
    "unqueued": "rejected",
    "handed_back": "linked, RequestValueIndex",
    "stands_for": "matches_recorded",
    "noise_between": "learn_noise",
    "client_did": "on_client_step",
    "says_something": "has_content",
    "seen_texts": "RedactionCache",
    "naming_variables": "with_secret_variables",
    "nested_most": "MAX_NESTING",
    "unpacked_most": "MAX_DECOMPRESSED",
    "changed_most": "MAX_CHANGED_SIZE",
}
"""Word of a name → what to say instead."""


def definitions(path: Path) -> Iterator[tuple[int, str]]:
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.attr
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg


def words(name: str) -> set[str]:
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)
    return {part.lower() for part in parts} | {name.strip("_").lower()}


def modules() -> list[Path]:
    return list(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_name_has_a_word_that_was_replaced(path: Path) -> None:
    names = [(0, path.stem), *definitions(path)]
    found = [
        f"line {line}: {name}; say {REPLACED[word]}" for line, name in names for word in words(name) & REPLACED.keys()
    ]
    assert not found


def test_a_word_is_found_in_each_kind_of_name() -> None:
    assert words("TheDesk") & REPLACED.keys() == {"desk"}
    assert words("_open_desk") & REPLACED.keys() == {"desk"}
    assert words("idle_without") & REPLACED.keys() == {"idle_without"}
    assert not words("described") & REPLACED.keys()


PROSE = {
    r"strangers?": "unauthenticated peer",
    r"heeds?|heeded": "obey, handle",
    r"heard|hears?": "receive, handle",
    r"who comes|comes in": "a new client, connect",
    r"best liked": "in order of preference",
    r"farewell|good-?bye": "close frame, close_notify",
    r"be asked (?:early|no more)|be over": "the action",
    r"tells? nobody": "has no event for",
    r"of late": "recently",
    r"wants? to know": "subscribe",
    r"told": "called with, notified, sent",
    r"somebody|anybody|whoever": "the client, the caller, a peer",
    r"(?:fast|slow) (?:lanes?|ways?)": "fast path; mitmproxy's layers",
}
"""Pattern of a phrase in docstrings and comments → what to say instead."""


def prose(text: str) -> Iterator[tuple[int, str]]:
    """Yield docstrings, strings beside constants, and comments; texts that users see are no prose of ours."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, node.value.value
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_prose_has_a_phrase_that_was_replaced(path: Path) -> None:
    found = [
        f"line {line}: {match[0]!r}; say {instead}"
        for line, text in prose(path.read_text())
        for pattern, instead in PROSE.items()
        if (match := re.search(rf"\b(?:{pattern})\b", text, re.IGNORECASE))
    ]
    assert not found


ROOT = PACKAGE.parents[1]
IN_TESTS = r"\b(?:nobody|somebody|anybody|everybody|whoever|strangers?)\b"
"""As PROSE, for tests and scripts: say which client, peer, addon or process is meant."""


@pytest.mark.parametrize("folder", ["tests", "scripts"])
def test_tests_and_scripts_name_who_is_meant(folder: str) -> None:
    paths = [path for path in (ROOT / folder).rglob("*.py") if path != Path(__file__)]
    names = [(path, line, name.replace("_", " ")) for path in paths for line, name in definitions(path)]
    texts = [(path, line, text) for path in paths for line, text in prose(path.read_text())]
    found = [
        f"{path.relative_to(ROOT)}:{line}: {match[0]}"
        for path, line, text in (*names, *texts)
        if (match := re.search(IN_TESTS, text, re.IGNORECASE))
    ]
    assert not found


def test_docstrings_of_functions_have_one_form() -> None:
    """Return, Raise and Yield: not Returns, nor Gives."""
    paths = [path for folder in ("addons", "tests", "scripts") for path in (ROOT / folder).rglob("*.py")]
    functions = (
        (path, node)
        for path in paths
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    third_person = re.compile(r"(?:Returns|Raises|Yields|Gives|Says|Tells)\b")
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path, node in functions
        if third_person.match(ast.get_docstring(node) or "")
    ]
    assert not found


@pytest.mark.parametrize("line", ["# a stranger", '"""Told the size."""', 'x = 1\n"""Heard twice."""'])
def test_a_phrase_is_found_in_each_kind_of_prose(line: str) -> None:
    texts = [text for _, text in prose(line)]
    assert any(re.search(rf"\b(?:{pattern})\b", text, re.IGNORECASE) for text in texts for pattern in PROSE)


PAGES = [page for page in sorted(ROOT.rglob("*.md")) if page.name != "CHANGELOG.md" and ".venv" not in str(page)]
TEXTS = {
    r"strangers?": "unauthenticated peer, unknown client",
    r"heeds?|heeded|heard|hears?": "obey, receive",
    r"who comes|comes in": "a new client, connect",
    r"(?:best|most) liked|likes? best": "preferred",
    r"farewell|good-?bye": "close frame, close_notify",
    r"told": "stopped, asked, notified",
    r"shall": "should, must",
    r"owes?": "must",
    r"word for": "learn from",
    r"mends?|mended": "repair, fix",
    r"crowds?": "requests at once, other clients",
    r"idlest|reckon|entrances?|wishes|patience|preambles?": "plain words",
    r"towers?|tapes?|shelf|shelves|vaults?|desks?|visits?": "as a name of the code",
    r"slow (?:lanes?|ways?)": "mitmproxy's layers",
    r"octets?": "bytes",
}
"""As PROSE, for what users read: pages, helps, log lines and errors."""


def in_pages(text: str) -> Iterator[tuple[int, str]]:
    """Yield the lines of a page that are not code."""
    is_code = False
    for number, line in enumerate(text.splitlines(), 1):
        is_code ^= line.startswith("```")
        if not is_code and not line.startswith("    "):
            yield number, re.sub(r"`[^`]*`", "", line)


def in_messages(text: str) -> Iterator[tuple[int, str]]:
    """Yield the texts in a module, which are not prose: of several words, and no SQL, script or pattern."""
    tree = ast.parse(text)
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            yield node.lineno, node.value if " " in node.value else ""


def replaced_in(texts: Iterator[tuple[int, str]]) -> list[str]:
    return [
        f"line {line}: {match[0]!r}; say {instead}"
        for line, text in texts
        for pattern, instead in TEXTS.items()
        if (match := re.search(rf"\b(?:{pattern})\b", text, re.IGNORECASE))
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_page_has_a_phrase_that_was_replaced(page: Path) -> None:
    assert not replaced_in(in_pages(page.read_text()))


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_message_has_a_phrase_that_was_replaced(path: Path) -> None:
    assert not replaced_in(in_messages(path.read_text()))


def test_a_phrase_is_found_in_what_users_read() -> None:
    assert replaced_in(in_pages("# A page\n\nWhat a proxy owes each hop."))
    assert not replaced_in(in_pages("`told`\n\n```sh\ntold\n```\n    told"))
    assert replaced_in(in_messages("say(f'{port}: strangers wait')"))
    assert not replaced_in(in_messages('"""Strangers wait."""\nsay("told")'))
