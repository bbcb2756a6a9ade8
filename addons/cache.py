"""The cache alone: `mitmdump -s addons/cache.py`."""

from proxy_policies.addon_chain import build_addons
from proxy_policies.cache.addon import Cache

addons = build_addons(Cache())
