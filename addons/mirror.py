"""Mirroring alone: `mitmdump -s addons/mirror.py`."""

from proxy_policies.addon_chain import build_addons
from proxy_policies.mirror.addon import Mirror

addons = build_addons(Mirror())
