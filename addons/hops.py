"""Via, Forwarded and hop-by-hop fields alone: `mitmdump -s addons/hops.py`."""

from proxy_policies.chain import chain
from proxy_policies.hops.addon import Hops

addons = chain(Hops())
