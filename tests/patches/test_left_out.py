"""Every patch is needed: with it alone left out, the test that its passport names fails."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from proxy_policies.patch import Companion, Patch, Section
from proxy_policies.patches.all import PLACES, SECTIONS

ROOT = Path(__file__).parents[2]
LEAVES_OUT = ROOT / "tests" / "support" / "without_patch"
FAILED = 1
"""What pytest exits with when it ran and a test failed."""
PASSPORTS = [*(one for one in PLACES if isinstance(one, Companion) or not one.sections), *SECTIONS]
pytestmark = [pytest.mark.deep, pytest.mark.timeout(600)]


def name_of(passport: Patch | Companion | Section) -> str:
    """Return a patch's place, or a section's class."""
    return passport.place if not isinstance(passport, Section) else passport.mixin.__name__


def run(passport: Patch | Companion | Section, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the test that a passport names."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", passport.test]
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("passport", PASSPORTS, ids=name_of)
def test_its_test_fails_without(passport: Patch | Companion | Section) -> None:
    left_out = run(passport, PYTHONPATH=str(LEAVES_OUT), WITHOUT_PATCH=name_of(passport))
    assert left_out.returncode == FAILED, f"nothing fails without it, or the test did not run:\n{left_out.stdout}"
    whole = run(passport)
    assert whole.returncode == 0, f"the test fails with it, too:\n{whole.stdout}"
