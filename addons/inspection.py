"""Untouched tunnels, and TLS opened for listed hosts alone: `mitmdump -s addons/inspection.py`."""

from proxy_policies.addon_chain import build_addons
from proxy_policies.inspection.addon import Inspection

addons = build_addons(Inspection())
