"""Traces alone: `mitmdump -s addons/traces.py --set traces=http://127.0.0.1:4318`."""

from proxy_policies.addon_chain import build_addons
from proxy_policies.traces.addon import Traces

addons = build_addons(Traces())
