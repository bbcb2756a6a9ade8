"""TLS over a socket whose halves can end separately, and how its peer ended the other half."""

import contextlib
import socket
import ssl

from tests.support.sockets import wait_until_read


class TlsEnd:
    """One end of a TLS connection; every wait is bounded by the socket's time-out."""

    def __init__(
        self, sock: socket.socket, context: ssl.SSLContext, name: str | None = None, *, alone: int = 0
    ) -> None:
        self.sock = sock
        self._alone = alone
        """How many of the first bytes are sent by themselves, before the rest."""
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=name is None, server_hostname=name)
        while not self._try(self._tls.do_handshake):
            self._receive()

    def sendall(self, data: bytes) -> None:
        """Send data."""
        self._tls.write(data)
        self._flush()

    def end_sending(self, last: bytes = b"", *, with_fin: bool = False) -> None:
        """Send the last bytes and, in the same piece, a closing alert, and maybe a FIN; the peer's half stays open."""
        if last:
            self._tls.write(last)
        self._try(self._tls.unwrap)
        if with_fin:
            self.sock.shutdown(socket.SHUT_WR)

    def recv(self, size: int) -> bytes:
        """Return the next data, b"" after a closing alert. Raise OSError for any other end."""
        while True:
            try:
                return self._tls.read(size)
            except ssl.SSLWantReadError:
                self._flush()
                self._receive()
            except ssl.SSLZeroReturnError:
                return b""

    def close(self) -> None:
        """Close the socket without a closing alert."""
        self.sock.close()

    def _try(self, step: object) -> bool:
        try:
            step()  # type: ignore[operator]
        except ssl.SSLWantReadError:
            return False
        finally:
            self._flush()
        return True

    def _flush(self) -> None:
        data = self._outgoing.read()
        if data and self._alone:
            self.sock.sendall(data[: self._alone])
            wait_until_read(self.sock)  # the point: before the rest comes
            data, self._alone = data[self._alone :], 0
        if data:
            self.sock.sendall(data)

    def _receive(self) -> None:
        data = self.sock.recv(65536)
        if not data:
            raise EndOfFile
        self._incoming.write(data)


class EndOfFile(OSError):
    """The connection ended without a closing alert."""


def read_to_end(end: socket.socket | TlsEnd) -> tuple[bytes, bool]:
    """Return all data, and whether its end was announced: by a closing alert in TLS, else by an end of file."""
    data = b""
    with contextlib.suppress(EndOfFile, ConnectionError):
        while chunk := end.recv(65536):
            data += chunk
        return data, True
    return data, False
