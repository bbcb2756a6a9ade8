"""The capture and replay policies alone."""

from proxy_policies.capture.record.addon import Capture
from proxy_policies.capture.replay.addon import Replay
from proxy_policies.chain import chain

addons = chain(Replay(), Capture())  # Replay reads its file before Capture goes on with it
