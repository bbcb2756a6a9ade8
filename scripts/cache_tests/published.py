"""The scores of other caches, measured on one machine with cache-tests b55b8bd; Souin's is as published."""

PEERS: dict[str, tuple[int, int, int]] = {
    "Apache Traffic Server 9.2": (134, 73, 45),
    "Apache httpd 2.4.71": (131, 68, 44),
    "Squid 5.7": (121, 58, 64),
    "Caddy + Souin": (121, 44, 27),
    "Varnish 7.1": (119, 45, 27),
    "nginx 1.22": (100, 58, 18),
    "HAProxy 2.6": (89, 39, 33),
    "bare mitmdump": (22, 0, 5),
}
"""Required of 160, optimal of 105, checks answered yes of 100."""
