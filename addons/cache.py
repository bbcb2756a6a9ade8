"""The cache alone: `mitmdump -s addons/cache.py`."""

from proxy_policies.cache.addon import Cache
from proxy_policies.chain import chain

addons = chain(Cache())
