"""The capture and replay policies alone."""

from proxy_policies.addon_chain import build_addons
from proxy_policies.capture.record.addon import Capture
from proxy_policies.capture.replay.addon import Replay

addons = build_addons(Replay(), Capture())  # Replay reads its file before Capture goes on with it
