"""Makes the list of addons that a script hands to mitmproxy."""

import logging

from mitmproxy import ctx

from proxy_policies.around_scripts import AroundScripts
from proxy_policies.dial import Dialer
from proxy_policies.flow_state import FlowStateAddon
from proxy_policies.patches.addon import Patches
from proxy_policies.settings import Policy, Settings
from proxy_policies.start_check import StartCheck
from proxy_policies.streaming import Streaming

logger = logging.getLogger(__name__)


def build_addons(*policies: Policy) -> list[Policy]:
    """Put policies, in the order a request meets them, between what each of them needs.

    Gives an empty list, and one error line, when one of them is loaded already.
    """
    duplicates = [policy.name for policy in policies if _is_loaded(policy)]
    if duplicates:
        logger.error(f"already loaded: {', '.join(duplicates)}; policy.py has every policy, so load it alone")
        return []
    dial = [] if _is_loaded(Dialer) else [Dialer()]
    settings = Settings((*dial, *policies))
    in_order: list[Policy] = [StartCheck(), settings, Patches(), FlowStateAddon(), *dial, *policies, Streaming()]
    loaded = [policy for policy in in_order if not _is_loaded(policy)]
    return [*loaded, AroundScripts(loaded)]


def _is_loaded(policy: Policy | type[Policy]) -> bool:
    master = getattr(ctx, "master", None)
    return master is not None and master.addons.get(policy.name) is not None
