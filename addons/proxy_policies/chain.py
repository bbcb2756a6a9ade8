"""Makes the list of addons that a script hands to mitmproxy."""

import logging

from mitmproxy import ctx

from proxy_policies.around_scripts import AroundScripts
from proxy_policies.dial import Dial
from proxy_policies.exchange import Exchanges
from proxy_policies.patches.addon import Patches
from proxy_policies.settings import Policy, Settings
from proxy_policies.start_check import StartCheck
from proxy_policies.streaming import Streaming

logger = logging.getLogger(__name__)


def chain(*policies: Policy) -> list[Policy]:
    """Put policies, in the order a request meets them, between what each of them needs.

    Gives an empty list, and one error line, when one of them is loaded already.
    """
    doubled = [policy.name for policy in policies if _is_loaded(policy)]
    if doubled:
        logger.error(f"already loaded: {', '.join(doubled)}; policy.py has every policy, so load it alone")
        return []
    dial = [] if _is_loaded(Dial) else [Dial()]
    settings = Settings((*dial, *policies))
    around: list[Policy] = [StartCheck(), settings, Patches(), Exchanges(), *dial, *policies, Streaming()]
    loaded = [policy for policy in around if not _is_loaded(policy)]
    return [*loaded, AroundScripts(loaded)]


def _is_loaded(policy: Policy | type[Policy]) -> bool:
    master = getattr(ctx, "master", None)
    return master is not None and master.addons.get(policy.name) is not None
