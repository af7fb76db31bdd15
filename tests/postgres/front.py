"""What speaks TLS before a server that does not know it, as poolers and hosts do; without TLS nothing goes through."""

import socket
import ssl
import struct
import threading
from contextlib import suppress
from pathlib import Path

ENCRYPTION = struct.pack("!II", 8, 80877103)  # a client asks for TLS
REFUSAL = b"SFATAL\0C28000\0Mno encryption\0\0"


class Front:
    """Listens on a port of its own."""

    def __init__(self, port: int, certificate: Path, key: Path) -> None:
        self.server = port
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        """Take clients until it is closed."""
        with suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self.attend, args=(client,), daemon=True).start()

    def attend(self, client: socket.socket) -> None:
        """Serve a client until it goes."""
        with suppress(OSError), client:  # a client that does not trust us hangs up
            if client.recv(8, socket.MSG_WAITALL) != ENCRYPTION:
                client.sendall(b"E" + struct.pack("!I", len(REFUSAL) + 4) + REFUSAL)
                return
            client.sendall(b"S")
            with (
                self.context.wrap_socket(client, server_side=True) as inside,
                socket.create_connection(("127.0.0.1", self.server)) as server,
            ):
                back = threading.Thread(target=copy, args=(server, inside), daemon=True)
                back.start()
                copy(inside, server)
                back.join(10)

    def close(self) -> None:
        """Take no more clients."""
        self.listener.close()


def copy(source: socket.socket, target: socket.socket) -> None:
    """Pass on what comes, until no more does."""
    with suppress(OSError):
        while some := source.recv(65_536):
            target.sendall(some)
    with suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)
