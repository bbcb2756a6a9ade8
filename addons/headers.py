"""Header rules alone: `mitmdump -s addons/headers.py`."""

from proxy_policies.addon_chain import build_addons
from proxy_policies.headers.addon import RequestRules, ResponseRules

addons = build_addons(RequestRules(), ResponseRules())
