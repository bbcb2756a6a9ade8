"""Links two connections in both directions, as fast as possible. Does not import mitmproxy.

`link.relay_streams(a, b, idle=…)` joins two stream pairs until both directions have ended, `link.relay_one_way` handles
one direction alone.
"""
