"""Untouched tunnels, and TLS opened for listed hosts alone: `mitmdump -s addons/inspection.py`."""

from proxy_policies.chain import chain
from proxy_policies.inspection.addon import Inspection
from proxy_policies.passthrough.addon import Passthrough

addons = chain(Inspection(), Passthrough())
