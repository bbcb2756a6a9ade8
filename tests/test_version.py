"""The version is that of the package that is built."""

import re
from pathlib import Path

from proxy_policies.version import VERSION

ROOT = Path(__file__).parents[1]


def test_it_is_a_version_that_the_build_finds() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", VERSION)
    assert 'path = "addons/proxy_policies/version.py"' in (ROOT / "pyproject.toml").read_text()
