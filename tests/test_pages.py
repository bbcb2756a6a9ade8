"""What the pages link to and name is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("certs/*.md"), *ROOT.glob("addons/**/*.md"), *ROOT.glob("scripts/*.md")])
PLACES = (ROOT, ROOT / "addons", ROOT / "addons" / "proxy_policies")


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(((?!https?:|#)[^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


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
