"""The fast lane alone: mitmproxy as it is, and faster."""

from proxy_policies.chain import chain
from proxy_policies.fastlane.addon import Fastlane

addons = chain(Fastlane())
