"""Links two connections both ways, at the speed of the machine. No mitmproxy in here.

`link.link(a, b, idle=…)` joins two stream pairs until both directions have ended; `link.carry` is one direction alone.
"""
