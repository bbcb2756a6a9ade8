"""Every policy, in the order a request meets them: `mitmdump -s addons/policy.py`."""

from proxy_policies.access_log.addon import AccessLog
from proxy_policies.addon_chain import build_addons
from proxy_policies.cache.addon import Cache
from proxy_policies.capture.record.addon import Capture
from proxy_policies.capture.replay.addon import Replay
from proxy_policies.connection.addon import Fastlane
from proxy_policies.control.addon import Control
from proxy_policies.dashboard.addon import Dashboard
from proxy_policies.encoding.addon import Encoding, EntityTags
from proxy_policies.explain.addon import Explain
from proxy_policies.flow_list.addon import FlowList
from proxy_policies.headers.addon import RequestRules, ResponseRules
from proxy_policies.hops.addon import Hops
from proxy_policies.inspection.addon import Inspection
from proxy_policies.limits.addon import Limits
from proxy_policies.metrics.addon import Metrics
from proxy_policies.mirror.addon import Mirror
from proxy_policies.policy_file.addon import PolicyFile
from proxy_policies.proxy_protocol.addon import ProxyProtocol
from proxy_policies.reverse_tunnel.home.addon import Home
from proxy_policies.reverse_tunnel.work.addon import Work
from proxy_policies.signals.addon import Signals
from proxy_policies.startup_summary.addon import StartupSummary
from proxy_policies.traces.addon import Traces

# client → hops → inspection → request rules → cache look-up → reverse tunnel → upstream
# client ← response rules ← encoding ← cache store ← hops ← reverse tunnel ← upstream
addons = build_addons(
    PolicyFile(),
    ProxyProtocol(),
    Limits(),
    Hops(),
    Inspection(),
    RequestRules(),
    Replay(),
    Capture(),
    Mirror(),
    EntityTags(),
    Cache(),
    Home(),
    Work(),
    Encoding(),
    ResponseRules(),
    Explain(),
    FlowList(),
    Fastlane(),
    AccessLog(),
    Metrics(),
    Dashboard(),
    Traces(),
    Signals(),
    Control(),
    StartupSummary(),
)
