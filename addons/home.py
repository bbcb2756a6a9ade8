"""Home alone: `mitmdump -n -s addons/home.py --set home_listen=9000 --set home_clients=9001=ssh`."""

from proxy_policies.chain import chain
from proxy_policies.policy_file.addon import PolicyFile
from proxy_policies.reverse_tunnel.addon import Home
from proxy_policies.signals.addon import Signals

addons = chain(PolicyFile(), Home(), Signals())
