"""The README's table of options, made from the code. See scripts/options."""

import importlib.util
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
BEGIN, END = "<!-- options -->\n", "<!-- /options -->"
SHOWN = 3
"""Members of a list's default that are shown."""


def policies() -> list[Any]:
    """Load policy.py as mitmproxy does and give its addons."""
    addons = ROOT / "addons"
    sys.path.insert(0, str(addons))
    spec = importlib.util.spec_from_file_location("policy", addons / "policy.py")
    if spec is None or spec.loader is None:
        raise FileNotFoundError(addons / "policy.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    loaded: list[Any] = module.addons
    return loaded


def table(addons: Iterable[Any]) -> str:
    """Give one row for each option, in the order of the chain, an option of two policies once."""
    from proxy_policies.settings import settings_of

    settings = {setting.name: setting for addon in addons for setting in settings_of(addon)}
    rows = [f"| `{name}` | {default(setting)} | {cell(setting.help)} |" for name, setting in settings.items()]
    return "\n".join(["| option | default | |", "|---|---|---|", *rows]) + "\n"


def default(setting: Any) -> str:
    """Show a default as one would write it."""
    if not setting.is_list:
        return f"`{cell(setting.default)}`" if setting.default else ""
    more = len(setting.default) - SHOWN
    shown = ", ".join(f"`{cell(value)}`" for value in setting.default[:SHOWN])
    return (shown + (f" and {more} more" if more > 0 else "")) or "none (list)"


def cell(text: str) -> str:
    """Make a text fit for a table's cell."""
    return " ".join(text.split()).replace("|", "\\|")


def with_table(readme: str, made: str) -> str:
    """Put the table between its marks; raises ValueError when there are none."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"README.md lacks {BEGIN.strip()} or {END}")
    return f"{before}{begin}\n{made}\n{end}{after}"


def main(arguments: Sequence[str]) -> int:
    """Print, check or write; gives the exit code."""
    made, readme = table(policies()), README.read_text("utf-8")
    if arguments == ["--write"]:
        README.write_text(with_table(readme, made), "utf-8")
    elif arguments == ["--check"]:
        if with_table(readme, made) != readme:
            print("README.md's options are not those of the code; scripts/options --write", file=sys.stderr)
            return 1
    elif arguments:
        print("scripts/options takes --check or --write, and nothing else", file=sys.stderr)
        return 1
    else:
        print(made, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
