"""Every script in addons/ loads by itself, and shares its classes with the package."""

import sys
from pathlib import Path

import pytest
from mitmproxy import hooks
from mitmproxy.test import taddons

from proxy_policies.settings import Settings
from proxy_policies.start_up.start_check import StartCheck

ADDONS = Path(__file__).parents[1] / "addons"
SCRIPTS = sorted(path.name for path in ADDONS.glob("*.py"))


def kinds(name: str) -> set[type]:
    """Load a script, unload it, and give what its policies are."""
    with taddons.context() as context:
        policies = context.script(str(ADDONS / name)).addons
        unload(context, policies)
    return {type(policy) for policy in policies}


def unload(context: taddons.context, policies: list[object]) -> None:
    """Have every policy leave mitmproxy as it was."""
    for policy in reversed(policies):
        context.master.addons.invoke_addon_sync(policy, hooks.DoneHook())


@pytest.mark.parametrize("name", SCRIPTS)
async def test_a_script_is_an_import_and_a_list(name: str) -> None:
    with taddons.context() as context:
        module = context.script(str(ADDONS / name))
        policies = module.addons
        assert policies
        assert [type(policy) for policy in policies[:2]] == [StartCheck, Settings]
        for policy in policies:
            home = sys.modules[type(policy).__module__]
            assert getattr(home, type(policy).__name__) is type(policy)
        unload(context, policies)


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_script_hides_a_module_of_the_standard_library(name: str) -> None:
    assert name.removesuffix(".py") not in sys.stdlib_module_names


async def test_policy_has_every_policy_that_a_script_has_alone() -> None:
    everything = kinds("policy.py")
    for name in SCRIPTS:
        alone = kinds(name)
        assert alone <= everything, name
