"""Via, Forwarded and hop-by-hop fields alone: `mitmdump -s addons/hops.py`."""

from proxy_policies.addon_chain import build_addons
from proxy_policies.hops.addon import Hops

addons = build_addons(Hops())
