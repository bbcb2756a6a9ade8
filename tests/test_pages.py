"""What the pages link to and name is there, and every command they show is one.

Blocks marked `console` are run by tests/e2e/pages; what `--set` says is checked in test_readme.
"""

import contextlib
import io
import re
import shlex
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy_policies.capture.cli.main import parser as capture_parser
from proxy_policies.command.commands import parse

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("certs/*.md"), *ROOT.glob("addons/**/*.md"), *ROOT.glob("scripts/*.md")])
PLACES = (ROOT, ROOT / "addons", ROOT / "addons" / "proxy_policies")


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(((?!https?:|#)[^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_pictures_are_there_small_and_for_both_colour_schemes() -> None:
    shown = re.findall(r'\bsrc(?:set)?="([^"]+)"', (ROOT / "README.md").read_text())
    assert len(shown) == 4
    assert {target.rpartition("-")[2] for target in shown} == {"light.png", "dark.png"}
    for target in shown:
        assert 10_000 < (ROOT / target).stat().st_size < 150_000


def test_the_map_names_what_is_there() -> None:
    page = (ROOT / "addons" / "README.md").read_text()
    named = set(re.findall(r"`([a-z_/]+(?:\.py|/))`", page))
    assert len(named) > 40
    for path in named:
        assert any(next(place.glob(f"**/{path.rstrip('/')}"), None) for place in PLACES), path


def test_every_folder_is_on_the_map() -> None:
    page = (ROOT / "addons" / "README.md").read_text()
    folders = [path.name for path in PLACES[2].iterdir() if (path / "__init__.py").exists()]
    assert not [folder for folder in folders if f"`{folder}/" not in page]


POLICIES = [path.parent.name for path in sorted(PLACES[2].glob("*/addon.py"))]
WITHOUT_PAGE = {"patches", "streaming"}
"""addons/README.md describes them: there is nothing to set."""


@pytest.mark.parametrize("policy", [name for name in POLICIES if name not in WITHOUT_PAGE])
def test_every_policy_has_its_page(policy: str) -> None:
    text = (PLACES[2] / policy / "README.md").read_text()
    assert text.startswith("# ")
    assert text.index("## How it works") > len(text) / 3, "the user comes first"


def inside(page: Path) -> str:
    """Return what a page says of how it works."""
    return page.read_text().partition("## How it works")[2]


@pytest.mark.parametrize("page", [page for page in PAGES if inside(page)], ids=name)
def test_modules_that_a_page_names_are_there(page: Path) -> None:
    named = set(re.findall(r"`([a-z_/0-9]+(?:\.py|/))`", inside(page)))
    known = [page.parent, *(folder for folder in page.parent.rglob("*") if folder.is_dir()), *PLACES]
    assert not [path for path in named if not any((at / path).exists() for at in known)]


CODE = re.compile(r"^```(?:console|sh)?\n(.*?)^```$|((?:^    [^\n]*\n)+)", re.MULTILINE | re.DOTALL)
LINE = re.compile(r"^(?:\w*\$ )?(scripts/\w+.*)", re.MULTILINE)
CAPTURE = {"record", "replay", "check", "compare", "show", "scrub", "merge", "export"}


def commands(page: Path) -> Iterator[list[str]]:
    """Yield every command line that begins with a script of ours, in code blocks and in text."""
    text = page.read_text()
    blocks = [fenced or textwrap.dedent(indented) for fenced, indented in CODE.findall(text)]
    lines = [line for block in blocks for line in LINE.findall(block)]
    for line in [*lines, *re.findall(r"`(scripts/\w+[^`…]*)`", text)]:
        words = shlex.split(line, comments=True)
        ends = [at for at, word in enumerate(words) if word in ("&&", "|")]
        for start, end in zip([0, *(at + 1 for at in ends)], [*ends, None], strict=True):
            if words[start].startswith("scripts/"):
                yield words[start:end]


COMMANDS = {(name(page), " ".join(words)): words for page in PAGES for words in commands(page)}


@pytest.mark.parametrize("words", COMMANDS.values(), ids=lambda words: " ".join(words)[:60])
def test_every_command_is_one(words: list[str]) -> None:
    script = ROOT / words[0]
    assert script.exists()
    if words[0] == "scripts/capture" and words[1:] in [[name] for name in CAPTURE]:
        return  # named, not run
    if words[0] == "scripts/capture" and words[1:2] and words[1] in CAPTURE:
        accepted("capture", words[1:])
    elif words[0] == "scripts/certs" and words[1:]:
        accepted("certs", words[1:])
    elif words[0] != "scripts/proxy" and script.is_file():  # whose arguments are mitmdump's, too
        help_text = script.read_text()
        assert not [word for word in words[1:] if word.startswith("--") and word not in help_text + "--mode --help"]


def accepted(command: str, words: list[str]) -> None:
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            parse([command, *words])
    except SystemExit:
        pytest.fail(complaint.getvalue())


def test_commands_are_found() -> None:
    found = {words[0] for words in COMMANDS.values()}
    assert {"scripts/proxy", "scripts/certs", "scripts/capture", "scripts/fleet", "scripts/bench"} <= found


def test_options_that_the_page_of_captures_names_are_ones() -> None:
    text = (PLACES[2] / "capture" / "README.md").read_text()
    named = {option for quoted in re.findall(r"`([^`]+)`", text) for option in re.findall(r"--[a-z]+[a-z-]*", quoted)}
    known = ""
    for subcommand in sorted(CAPTURE):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
            capture_parser().parse_args([subcommand, "--help"])
        known += printed.getvalue()
    assert len(named) > 5
    assert not [option for option in named - {"--set"} if not re.search(rf"{option}\b", known)]
