"""A script for mitmdump, loaded before the policies: does more rarely what is done so often in a second.

Instructions are counted at a fiftieth of the speed, and what belongs to a second would count fifty times.
"""

from proxy_policies.access_log import writer

EVERY = 5.0
"""Seconds."""

writer.EVERY = EVERY

addons: list[object] = []
