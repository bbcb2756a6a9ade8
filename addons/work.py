"""Work alone: `mitmdump -n -s addons/work.py --set work_home=home.example:9000 --set work_services=ssh=host:22`."""

from proxy_policies.addon_chain import build_addons
from proxy_policies.control.addon import Control
from proxy_policies.policy_file.addon import PolicyFile
from proxy_policies.reverse_tunnel.work.addon import Work
from proxy_policies.signals.addon import Signals

addons = build_addons(PolicyFile(), Work(), Signals(), Control())
