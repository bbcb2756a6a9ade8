"""Limits and time-outs for clients alone: `mitmdump -s addons/limits.py`."""

from proxy_policies.addon_chain import build_addons
from proxy_policies.limits.addon import Limits

addons = build_addons(Limits())
