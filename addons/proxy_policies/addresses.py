"""Hosts and ports as text."""

from ipaddress import ip_address


def is_address(host: str) -> bool:
    """Tell an IP address, with or without a zone, from a name."""
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def format_target(host: str, port: int) -> str:
    """Write host and port as a URL has them."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
