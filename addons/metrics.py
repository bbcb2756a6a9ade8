"""Metrics for Prometheus alone: `mitmdump -s addons/metrics.py --set metrics=9090`."""

from proxy_policies.addon_chain import build_addons
from proxy_policies.metrics.addon import Metrics

addons = build_addons(Metrics())
