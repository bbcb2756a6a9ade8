"""A script for mitmdump, loaded before the policies, that lengthens the intervals of periodic work.

While instructions are counted, the proxy runs at a fiftieth of its speed, and periodic work would count fifty times.
"""

from proxy_policies.dashboard import addon as dashboard
from proxy_policies.finished import reporting

INTERVAL = 5.0
"""Seconds."""

reporting.DELIVERY_INTERVAL = dashboard.SAMPLE_INTERVAL = INTERVAL

addons: list[object] = []
