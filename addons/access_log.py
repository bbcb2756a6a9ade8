"""The access log alone: `mitmdump -s addons/access_log.py --set access_log=access.log`."""

from proxy_policies.access_log.addon import AccessLog
from proxy_policies.addon_chain import build_addons

addons = build_addons(AccessLog())
