"""Every patch has a passport that is right: the source that it replaces was read, and its test exists."""

import subprocess
import sys
from pathlib import Path

import pytest
from mitmproxy.version import VERSION

from proxy_policies.patch import Companion, Patch, Section, source_sha256
from proxy_policies.patches.all import ALL, PLACES, SECTIONS

ROOT = Path(__file__).parents[2]


def replaced(patch: Patch | Companion) -> tuple[object, ...]:
    """Return what of mitmproxy's a patch replaces, as it is without."""
    return (patch.replaced if isinstance(patch, Patch) else ()) or (getattr(patch.owner, patch.attribute),)


def test_what_is_replaced_was_read() -> None:
    changed = {one.place: now for one in PLACES if (now := source_sha256(*replaced(one))) not in known(one)}
    assert not changed, (
        f"mitmproxy {VERSION} has other source than was read for: {', '.join(changed)}. Read what changed, see whether "
        f"the patch is still needed and right, run its test, and note the version in its source_sha256: {changed}"
    )


def known(patch: Patch | Companion) -> set[str]:
    """Return the hashes of the sources that were read."""
    return set(patch.source_sha256.values())


@pytest.mark.parametrize("passport", [*ALL, *SECTIONS], ids=lambda it: getattr(it, "place", type(it).__name__))
def test_passports_are_complete(passport: Patch | Section) -> None:
    assert passport.why
    assert passport.remove_when
    assert passport.upstream.startswith(("https://", "not reported", "see its sections"))
    assert (ROOT / passport.test.partition("::")[0]).is_file()


def test_there_are_few() -> None:
    assert len([patch for patch in ALL if patch.kind == "bug"]) <= 12
    assert len([patch for patch in ALL if patch.kind == "seam"]) <= 6


def test_sections_are_what_a_class_is_made_of() -> None:
    for patch in ALL:
        if patch.sections:
            made = patch.wrap(getattr(patch.owner, patch.attribute)).__mro__
            assert [kind for kind in made if kind in {section.mixin for section in patch.sections}] == [
                section.mixin for section in patch.sections
            ]


def test_sections_do_not_meet_by_chance() -> None:
    """Two that have a private name in common, which their class does not have, call each other's."""
    for patch in ALL:
        owner = getattr(patch.owner, patch.attribute) if patch.sections else object
        theirs = {name for kind in owner.__mro__ for name in vars(kind)} | {"__module__", "__doc__"}
        names = [
            name
            for section in patch.sections
            for name in vars(section.mixin)
            if name not in theirs and not name.startswith("__")
        ]
        assert not {name for name in names if names.count(name) > 1}


def test_the_tests_exist() -> None:
    nodes = sorted({one.test for one in PLACES} | {section.test for section in SECTIONS})
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", *nodes]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
