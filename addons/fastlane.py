"""The fast lane alone, with the limits that it needs: mitmproxy as it is, and faster."""

from proxy_policies.addon_chain import build_addons
from proxy_policies.connection.addon import Fastlane
from proxy_policies.limits.addon import Limits

addons = build_addons(Limits(), Fastlane())
