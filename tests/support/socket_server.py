"""A server of bare sockets, with a thread for each."""

import contextlib
import socket
import ssl
import threading


class SocketServer:
    """Listens on a free port of 127.0.0.1 until it is closed; a subclass serves each connection."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = int(self._listening.getsockname()[1])
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def close(self) -> None:
        """Stop listening.

        Closing the socket alone would not wake the thread: it would keep waiting on the descriptor's number and, once
        interrupted by a signal, accept a connection of whichever socket has that number by then.
        """
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._accepting.join(100)
        assert not self._accepting.is_alive()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._run, args=(sock,), daemon=True).start()

    def _run(self, plain: socket.socket) -> None:
        with contextlib.suppress(OSError):
            sock = self._tls.wrap_socket(plain, server_side=True) if self._tls else plain
            with sock:
                self.serve(sock)

    def serve(self, sock: socket.socket) -> None:
        """Serve one connection, which is closed afterwards."""
        raise NotImplementedError
