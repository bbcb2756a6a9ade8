"""Pure modules know no mitmproxy, not through other modules of ours either.

pyproject.toml lists the modules that may import mitmproxy, for ruff, which sees direct imports only. What is imported
for type checkers alone does not count.
"""

import ast
import fnmatch
import tomllib
from collections.abc import Iterator

import pytest

from tests.support.clone import ROOT

ADDONS = ROOT / "addons"
MODULES = {
    ".".join(path.relative_to(ADDONS).with_suffix("").parts).removesuffix(".__init__"): path
    for path in (ADDONS / "proxy_policies").rglob("*.py")
}
FLOW_FILES = "proxy_policies.capture.formats.mitmproxy_flows"
LATE = {
    ("proxy_policies.start_up.requirements", "mitmproxy.version"),  # where there is one: it looks for mitmproxy
    ("proxy_policies.command.main", "proxy_policies.command.completion"),  # for a shell that completes
    ("proxy_policies.capture.formats.any_format", FLOW_FILES),  # to read one
    ("proxy_policies.capture.cli.tools", FLOW_FILES),  # to write one
    ("proxy_policies.capture.cli.show", FLOW_FILES),  # for a filter of mitmproxy's
    ("proxy_policies.capture.cli.show", "proxy_policies.rules"),  # likewise
    ("proxy_policies.capture.cli.main", "proxy_policies.settings"),  # to read a size
}
"""Imports in functions that are there to be made only when they are needed."""
DECLARES_OPTIONS = {"proxy_policies.capture.options"}
"""Shared by adapters, and imported by no pure module."""


def expand_home(pattern: str) -> Iterator[str]:
    """Yield the patterns that `a/{b,c}` stands for."""
    before, brace, rest = pattern.partition("{")
    if not brace:
        yield pattern
        return
    choices, _, after = rest.partition("}")
    for choice in choices.split(","):
        yield from expand_home(before + choice + after)


IGNORED = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]["per-file-ignores"]
ADAPTERS = [one for pattern, rules in IGNORED.items() if "TID251" in rules for one in expand_home(pattern)]


def may_import_mitmproxy(module: str) -> bool:
    path = str(MODULES[module].relative_to(ROOT))
    return module in DECLARES_OPTIONS or any(fnmatch.fnmatch(path, pattern) for pattern in ADAPTERS)


def imported(node: ast.AST) -> Iterator[str]:
    """Yield what is imported anywhere in a tree, modules of ours by their whole names."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            continue
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom) and child.module:
            names = [f"{child.module}.{alias.name}" for alias in child.names]
            yield from (name if name in MODULES else str(child.module) for name in names)
        yield from imported(child)


IMPORTS = {
    module: sorted({name for name in imported(ast.parse(path.read_text())) if (module, name) not in LATE})
    for module, path in MODULES.items()
}


def way_to_mitmproxy(module: str, seen: set[str]) -> list[str]:
    """Return the chain of imports from a module to mitmproxy, itself first; empty if there is none."""
    seen.add(module)
    for name in IMPORTS.get(module, ()):
        if name.split(".")[0] == "mitmproxy":
            return [module, name]
        if name in IMPORTS and name not in seen and (way := way_to_mitmproxy(name, seen)):
            return [module, *way]
    return []


PURE = sorted(module for module in MODULES if not may_import_mitmproxy(module))


@pytest.mark.parametrize("module", PURE)
def test_a_pure_module_does_not_come_to_mitmproxy(module: str) -> None:
    assert " → ".join(way_to_mitmproxy(module, set())) == ""


def test_adapters_are_found_to_import_it() -> None:
    assert way_to_mitmproxy("proxy_policies.headers.addon", set())[-1].startswith("mitmproxy")
    assert "proxy_policies.headers.addon" not in PURE
    assert len(PURE) > 100


def test_a_package_imports_nothing() -> None:
    """Otherwise each of its modules would import that, too; only the outermost checks the requirements."""
    packages = {name: path for name, path in MODULES.items() if path.name == "__init__.py"}
    found = {name: list(imported(ast.parse(path.read_text()))) for name, path in packages.items()}
    assert {name: names for name, names in found.items() if names} == {
        "proxy_policies": ["proxy_policies.start_up.requirements"],
    }


def test_what_rfc_9111_says_knows_no_store_no_loop_and_no_clock() -> None:
    section = "proxy_policies.cache.rfc9111."
    foreign = {
        f"{module} imports {name}"
        for module, names in IMPORTS.items()
        if module.startswith(section)
        for name in names
        if not name.startswith((section, "proxy_policies.fields", "proxy_policies.lazy_imports"))
        and (name.startswith("proxy_policies.") or name.split(".")[0] in {"asyncio", "socket", "threading", "time"})
    }
    assert not foreign


def test_what_speaks_http_1_knows_nothing_of_the_patches() -> None:
    """They use its codec; it does not need theirs."""
    ours = {module: names for module, names in IMPORTS.items() if module.startswith("proxy_policies.http1.")}
    assert not [name for names in ours.values() for name in names if name.startswith("proxy_policies.patches")]
