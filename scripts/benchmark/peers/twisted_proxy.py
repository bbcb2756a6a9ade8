"""Twisted's own proxies: `twisted_proxy.py reverse|forward PORT ORIGIN`."""

import sys

from twisted.internet import reactor
from twisted.web import proxy, server
from twisted.web.http import HTTPFactory

role, port, origin = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
if role == "reverse":
    factory = server.Site(proxy.ReverseProxyResource("127.0.0.1", origin, b""))
else:
    factory = HTTPFactory()
    factory.protocol = proxy.Proxy
reactor.listenTCP(port, factory, backlog=1024, interface="127.0.0.1")
reactor.run()
