"""A script for mitmdump, loaded before the policies, that omits the part of their tuning named by WITHOUT."""

import os

from proxy_policies.tuning import all as tuning

tuning.TUNINGS = {name: applied for name, applied in tuning.TUNINGS.items() if name != os.environ["WITHOUT"]}

addons: list[object] = []
