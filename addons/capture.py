"""The capture and replay policies alone."""

from proxy_policies.capture.addon import Capture
from proxy_policies.capture.replay_addon import Replay
from proxy_policies.chain import chain

addons = chain(Replay(), Capture())  # Replay reads its file before Capture goes on with it
