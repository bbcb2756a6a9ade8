"""Builds the list of addons that a script hands to mitmproxy."""

from mitmproxy import ctx

from proxy_policies.certificates.confdir_check import ConfdirCheck
from proxy_policies.dispatch.around_scripts import AroundScripts
from proxy_policies.finished.tunnels import FinishedFlows
from proxy_policies.flows.flow_state import FlowStateAddon
from proxy_policies.option_checks import OptionChecks
from proxy_policies.outbound.dial import Dialer
from proxy_policies.patches.addon import Patches
from proxy_policies.patches.script_reload import is_being_replaced
from proxy_policies.proxy_credentials.addon import ProxyCredentials
from proxy_policies.settings import Policy, Settings, reject
from proxy_policies.start_up.start_check import StartCheck
from proxy_policies.streaming.addon import Streaming


def build_addons(*policies: Policy) -> list[Policy]:
    """Return the policies, in the order a request meets them, with the addons that all of them need around them.

    If one of them is already loaded, log an error and return an empty list; raise OptionsError if the script was
    reloaded after an edit.
    """
    duplicates = [policy.name for policy in policies if _is_loaded(policy)]
    if duplicates:
        reject(f"already loaded: {', '.join(duplicates)}; policy.py has every policy, so load it alone")
        return []
    dial = [] if _is_loaded(Dialer) else [Dialer()]
    settings = Settings((*dial, *policies))
    checks = (StartCheck(), settings, ConfdirCheck(), OptionChecks())
    ours = (Patches(), ProxyCredentials(), FlowStateAddon(), FinishedFlows())
    in_order: list[Policy] = [*checks, *ours, *dial, *policies, Streaming()]
    loaded = [policy for policy in in_order if not _is_loaded(policy)]
    return [*loaded, AroundScripts(loaded)]


def _is_loaded(policy: Policy | type[Policy]) -> bool:
    master = getattr(ctx, "master", None)
    loaded = master.addons.get(policy.name) if master is not None else None
    return loaded is not None and not is_being_replaced(loaded)
