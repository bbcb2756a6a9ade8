"""Compression alone: `mitmdump -s addons/encoding.py`."""

from proxy_policies.chain import chain
from proxy_policies.encoding.addon import Encoding, EntityTags

addons = chain(EntityTags(), Encoding())
