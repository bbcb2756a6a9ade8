"""Tunnels through a proxy to a TLS origin, and who issued the certificate that the client gets."""

import socket
import ssl

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def issuer(port: int, target: str, sni: str | None, how: str = "connect") -> str:
    """Reach a TLS origin through the proxy and return who issued the certificate: "mitmproxy" or "trustme"."""
    with socket.create_connection(("127.0.0.1", port), timeout=100) as sock:
        opening = socks5 if how == "socks5" else connect
        opening(sock, target)
        return shown(sock, sni)


def shown(sock: socket.socket, sni: str | None) -> str:
    """Continue with TLS to the origin and return who issued the certificate."""
    with trusting_anyone().wrap_socket(sock, server_hostname=sni) as tls:
        certificate = tls.getpeercert(binary_form=True)
        tls.sendall(REQUEST)
        assert b"hello from the origin" in read_all(tls)
    return whose(certificate)


def trusting_anyone() -> ssl.SSLContext:
    """Return a client's context that accepts every certificate."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def for_two_threads(context: ssl.SSLContext) -> ssl.SSLContext:
    """Return a client's context for websockets, which reads and writes in two threads, limited to TLS 1.2.

    OpenSSL's writes fail, or send nothing, if another thread reads a session ticket of TLS 1.3 meanwhile: one of some
    10 000 handshakes with a server of websockets hung for good.
    """
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


def whose(certificate: bytes | None) -> str:
    """Return who issued a certificate, in DER: "mitmproxy" or "trustme"."""
    return "mitmproxy" if b"mitmproxy" in (certificate or b"") else "trustme"


def read_all(sock: socket.socket) -> bytes:
    """Return everything until end of file."""
    data = b""
    while chunk := sock.recv(65536):
        data += chunk
    return data


def connect(sock: socket.socket, target: str) -> None:
    """Open a tunnel by CONNECT. Raise AssertionError with the response if it is not a 200."""
    sock.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
    read_connected(sock)


def read_connected(sock: socket.socket) -> None:
    """Read the head of the response to CONNECT. Raise AssertionError if it is not a 200."""
    head = b""
    while not head.endswith(b"\r\n\r\n") and (byte := sock.recv(1)):
        head += byte
    assert head.startswith(b"HTTP/1.1 200 "), head


def socks5(sock: socket.socket, target: str) -> None:
    """Open a tunnel by SOCKS5, to a name."""
    host, _, port = target.rpartition(":")
    sock.sendall(b"\x05\x01\x00")
    assert sock.recv(2) == b"\x05\x00"
    name = host.encode()
    sock.sendall(b"\x05\x01\x00\x03" + bytes([len(name)]) + name + int(port).to_bytes(2, "big"))
    assert sock.recv(10)[:2] == b"\x05\x00"
