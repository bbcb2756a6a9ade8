"""Home alone: `mitmdump -n -s addons/home.py --set home_listen=9000 --set home_clients=9001=ssh`."""

from proxy_policies.addon_chain import build_addons
from proxy_policies.control.addon import Control
from proxy_policies.policy_file.addon import PolicyFile
from proxy_policies.proxy_protocol.addon import ProxyProtocol
from proxy_policies.reverse_tunnel.home.addon import Home
from proxy_policies.signals.addon import Signals

addons = build_addons(PolicyFile(), ProxyProtocol(), Home(), Signals(), Control())
