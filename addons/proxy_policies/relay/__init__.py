"""Links two connections both ways, at the speed of the machine. No mitmproxy in here.

`link.relay_streams(a, b, idle=…)` joins two stream pairs until both directions have ended, `link.relay_one_way` is one
direction alone.
"""
