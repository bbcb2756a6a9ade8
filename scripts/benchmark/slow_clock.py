"""A script for mitmdump, loaded before the policies: does more rarely what is done so often in a second.

Instructions are counted at a fiftieth of the speed, and what belongs to a second would count fifty times.
"""

from proxy_policies.dashboard import addon as dashboard
from proxy_policies.finished import reporting

EVERY = 5.0
"""Seconds."""

reporting.EVERY = dashboard.EVERY = EVERY

addons: list[object] = []
