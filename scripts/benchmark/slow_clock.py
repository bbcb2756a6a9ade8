"""A script for mitmdump, loaded before the policies, that lengthens the intervals of periodic work.

Otherwise that would count fifty times, as would switches between threads.
"""

import sys

from proxy_policies.dashboard import addon as dashboard
from proxy_policies.finished import reporting

SLOWER = 50
"""How many times slower the proxy is while its instructions are counted."""

sys.setswitchinterval(SLOWER * sys.getswitchinterval())
reporting.DELIVERY_INTERVAL *= SLOWER
dashboard.SAMPLE_INTERVAL *= SLOWER

addons: list[object] = []
