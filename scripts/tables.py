"""Generates the tables of pages from the code: options, patches. See scripts/tables."""

import importlib.util
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
README, ADDONS = ROOT / "README.md", ROOT / "addons" / "README.md"
SHOWN = 3
"""Members of a list's default to show."""
ISSUE = re.compile(r"https://github\.com/mitmproxy/mitmproxy/(?:issues|pull)/(\d+)")


def policies() -> list[Any]:
    """Load policy.py as mitmproxy does, and return its addons."""
    addons = ROOT / "addons"
    sys.path.insert(0, str(addons))
    spec = importlib.util.spec_from_file_location("policy", addons / "policy.py")
    if spec is None or spec.loader is None:
        raise FileNotFoundError(addons / "policy.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    loaded: list[Any] = module.addons
    return loaded


def folder_of(addon: Any) -> str:
    """Return the folder of a policy in the package; "" if it has none."""
    parts = type(addon).__module__.split(".")
    return parts[1] if len(parts) > 2 else ""


def options(addons: Iterable[Any]) -> str:
    """Return a row for each option, in the order of the chain; an option of two policies once."""
    settings = settings_of_all(addons)
    return rows(("option", "default", ""), ([f"`{name}`", default(it), cell(it.help)] for name, it in settings.items()))


def settings_of_all(addons: Iterable[Any]) -> dict[str, Any]:
    """Return the options of several policies by name."""
    from proxy_policies.settings import settings_of

    return {setting.name: setting for addon in addons for setting in settings_of(addon)}


def contents(pages: Mapping[str, Sequence[Any]]) -> str:
    """Return a row for each page: its title, its first sentence, its options."""
    found = []
    for folder, addons in pages.items():
        title, _, rest = page_of(folder).read_text("utf-8").removeprefix("# ").partition("\n\n")
        sentence = cell(rest.partition("\n\n")[0])
        names = ", ".join(f"`{name}`" for name in settings_of_all(addons))
        found.append([f"[{title}](addons/proxy_policies/{folder}/README.md)", sentence, names])
    return rows(("page", "", "options"), found)


def page_of(folder: str) -> Path:
    """Return the path of a folder's page, which need not exist."""
    return ROOT / "addons" / "proxy_policies" / folder / "README.md"


def pages_of(addons: Iterable[Any]) -> dict[str, list[Any]]:
    """Return policies by folders with a page: in the order of the chain, then folders without policies."""
    found: dict[str, list[Any]] = {}
    for addon in addons:
        if (folder := folder_of(addon)) and page_of(folder).exists():
            found.setdefault(folder, []).append(addon)
    for page in sorted(page_of("").parent.glob("*/README.md")):
        found.setdefault(page.parent.name, [])
    return found


def tables() -> list[tuple[Path, str, str]]:
    """Return every table: its page, its name there, its text."""
    addons = policies()
    pages = pages_of(addons)
    rest = [addon for addon in addons if folder_of(addon) not in pages]
    made = [(README, "pages", contents(pages)), (README, "options", options(rest)), (ADDONS, "patches", patches())]
    own = [(page_of(folder), "options", options(members)) for folder, members in pages.items()]
    return made + [table for table in own if table[2].count("\n") > 2]


def patches() -> str:
    """Return a row for each patch, and for each of its sections."""
    from proxy_policies.patches.all import ALL

    head = ("what is changed", "", "without it", "upstream", "goes when", "read on")
    return rows(head, (row for patch in ALL for row in _rows_of(patch)))


def _rows_of(patch: Any) -> Iterator[Sequence[str]]:
    versions = ", ".join(patch.source_sha256)
    yield (f"`{short(patch.place)}`", str(patch.kind), cell(patch.why), *_told(patch), versions)
    for companion in patch.companions:
        yield (f"… `{short(companion.place)}`", "", cell(companion.why), "", "", ", ".join(companion.source_sha256))
    for section in patch.sections:
        yield (f"… `{section.mixin.__name__}`", "", cell(section.why), *_told(section), "")


def short(place: str) -> str:
    """Return a place with only the last of its module's names."""
    return ".".join(place.split(".")[-2:])


def _told(passport: Any) -> tuple[str, str]:
    return ISSUE.sub(r"[#\1](\g<0>)", cell(passport.upstream)), cell(passport.remove_when)


def rows(head: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *body)) + "\n"


def default(setting: Any) -> str:
    """Return a default as a user would write it."""
    if not setting.is_list:
        return f"`{cell(setting.default)}`" if setting.default else ""
    more = len(setting.default) - SHOWN
    shown = ", ".join(f"`{cell(value)}`" for value in setting.default[:SHOWN])
    return (shown + (f" and {more} more" if more > 0 else "")) or "none (list)"


def cell(text: str) -> str:
    """Return a text escaped for a table's cell."""
    return " ".join(text.split()).replace("|", "\\|")


def with_table(page: str, name: str, made: str) -> str:
    """Return a page with a table between its marks. Raise ValueError if it has none."""
    opening, closing = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    before, begin, rest = page.partition(opening)
    _, end, after = rest.partition(closing)
    if not begin or not end:
        raise ValueError(f"the page lacks {opening.strip()} or {closing}")
    return f"{before}{begin}\n{made}\n{end}{after}"


def main(arguments: Sequence[str]) -> int:
    """Print, check or write; return the exit code."""
    made_tables = tables()
    if not arguments:
        print("\n".join(made for _, _, made in made_tables), end="")
        return 0
    if arguments not in (["--check"], ["--write"]):
        print("scripts/tables takes --check or --write", file=sys.stderr)
        return 1
    stale = _renewed(made_tables)
    for page, text in stale.items():
        if arguments == ["--write"]:
            page.write_text(text, "utf-8")
        else:
            print(f"{page.relative_to(ROOT)} is out of date; run scripts/tables --write", file=sys.stderr)
    return int(bool(stale) and arguments == ["--check"])


def _renewed(made_tables: Iterable[tuple[Path, str, str]]) -> dict[Path, str]:
    """Return the new texts of the pages that are out of date."""
    texts: dict[Path, str] = {}
    for page, name, made in made_tables:
        texts[page] = with_table(texts.get(page) or page.read_text("utf-8"), name, made)
    return {page: text for page, text in texts.items() if text != page.read_text("utf-8")}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
