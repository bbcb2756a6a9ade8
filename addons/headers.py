"""Header rules alone: `mitmdump -s addons/headers.py`."""

from proxy_policies.chain import chain
from proxy_policies.headers.addon import RequestRules, ResponseRules

addons = chain(RequestRules(), ResponseRules())
