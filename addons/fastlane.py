"""The fast lane alone, with the limits that it needs: mitmproxy as it is, and faster."""

from proxy_policies.chain import chain
from proxy_policies.fastlane.addon import Fastlane
from proxy_policies.limits.addon import Limits

addons = chain(Limits(), Fastlane())
