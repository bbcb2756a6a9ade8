"""The live page alone: `mitmdump -s addons/dashboard.py --set dashboard=8082`."""

from proxy_policies.addon_chain import build_addons
from proxy_policies.control.addon import Control
from proxy_policies.dashboard.addon import Dashboard
from proxy_policies.explain.addon import Explain

addons = build_addons(Explain(), Dashboard(), Control())
