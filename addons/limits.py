"""Limits and time-outs for clients alone: `mitmdump -s addons/limits.py`."""

from proxy_policies.chain import chain
from proxy_policies.limits.addon import Limits

addons = chain(Limits())
