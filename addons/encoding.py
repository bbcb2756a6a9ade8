"""Compression alone: `mitmdump -s addons/encoding.py`."""

from proxy_policies.addon_chain import build_addons
from proxy_policies.encoding.addon import Encoding, EntityTags

addons = build_addons(EntityTags(), Encoding())
