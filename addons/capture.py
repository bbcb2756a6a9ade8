"""The capture policy alone."""

from proxy_policies.capture.addon import Capture
from proxy_policies.chain import chain

addons = chain(Capture())
