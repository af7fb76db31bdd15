"""A pooler in transaction mode: each transaction gets another session of the server, in which nothing of the last one is left.

It speaks as much of the protocol as psycopg2 does to it: the start, simple queries and COPY. It refuses startup options, as
PgBouncer does, lets everybody in, and gives out process numbers of its own.
"""

import queue
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from tests.postgres.server import PASSWORD, Server

SESSIONS = 4  # of the server, for all clients of one role and database
ENCRYPTIONS = (80877103, 80877104)  # TLS and GSSAPI
CANCEL = 80877102


def message(kind: bytes, body: bytes = b"") -> bytes:
    """A message of the protocol."""
    return kind + struct.pack("!I", len(body) + 4) + body


class Wire:
    """One connection, by whole messages."""

    def __init__(self, one: socket.socket) -> None:
        self.socket, self.file = one, one.makefile("rb")

    def read(self) -> tuple[bytes, bytes]:
        """Kind and body of the next message. Raises EOFError."""
        head = self.file.read(5)
        if len(head) < 5:
            raise EOFError
        return head[:1], self.file.read(struct.unpack("!I", head[1:])[0] - 4)

    def send(self, kind: bytes, body: bytes = b"") -> None:
        """Send a message."""
        self.socket.sendall(message(kind, body))

    def beginning(self) -> tuple[int, bytes]:
        """What a client begins with, which has no kind. Raises EOFError."""
        head = self.file.read(8)
        if len(head) < 8:
            raise EOFError
        length, code = struct.unpack("!II", head)
        return code, self.file.read(length - 8)


@dataclass
class Session:
    """One of the server's sessions."""

    wire: Wire
    parameters: list[bytes] = field(default_factory=list)


class Pooler:
    """Listens on a port of its own."""

    def __init__(self, server: Server, role: str, password: str = PASSWORD) -> None:
        self.server, self.role, self.password = server, role, password
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.pools: dict[str, queue.Queue[Session]] = {}
        self.lock, self.opened = threading.Lock(), []
        self.numbers = iter(range(7_000_001, 8_000_000))
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        """Take clients until it is closed."""
        with suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.opened.append(client)
                threading.Thread(target=self.attend, args=(Wire(client),), daemon=True).start()

    def attend(self, client: Wire) -> None:
        """Serve a client until it goes."""
        with suppress(EOFError, OSError):
            code, body = client.beginning()
            while code in ENCRYPTIONS:
                client.socket.sendall(b"N")
                code, body = client.beginning()
            if code != CANCEL:
                said = body.rstrip(b"\0").split(b"\0")
                given = dict(zip(said[::2], said[1::2], strict=False))
                if b"options" in given:
                    client.send(b"E", b"SFATAL\0C08P01\0Munsupported startup parameter: options\0\0")
                else:
                    self.greet(client, pool := self.pool(given[b"database"].decode()))
                    self.relay(client, pool)
        client.socket.close()

    def pool(self, database: str) -> "queue.Queue[Session]":
        """The sessions of a database, opened at the first call."""
        with self.lock:
            if database not in self.pools:
                self.pools[database] = queue.Queue()
                for _ in range(SESSIONS):
                    self.pools[database].put(self.session(database))
            return self.pools[database]

    def session(self, database: str) -> Session:
        """A new session of the server, by its socket, where the role needs no password."""
        one = socket.socket(socket.AF_UNIX)
        one.connect(str(self.server.folder / f".s.PGSQL.{self.server.port}"))
        self.opened.append(one)
        body = struct.pack("!I", 196608) + b"user\0%b\0database\0%b\0client_encoding\0UTF8\0\0" % (
            self.role.encode(),
            database.encode(),
        )
        one.sendall(struct.pack("!I", len(body) + 4) + body)
        found = Session(Wire(one))
        while (read := found.wire.read())[0] != b"Z":
            assert read[0] != b"E", read[1]
            if read[0] == b"S":
                found.parameters.append(read[1])
        return found

    def greet(self, client: Wire, pool: "queue.Queue[Session]") -> None:
        """Let a client in, and tell it what the server tells."""
        client.send(b"R", struct.pack("!I", 0))
        with self.lent(pool) as session:
            for parameter in session.parameters:
                client.send(b"S", parameter)
        client.send(b"K", struct.pack("!II", next(self.numbers), 1))
        client.send(b"Z", b"I")

    @contextmanager
    def lent(self, pool: "queue.Queue[Session]") -> Iterator[Session]:
        """The session that has rested longest."""
        session = pool.get(timeout=30)
        try:
            yield session
        finally:
            for statement in (b"ROLLBACK\0", b"DISCARD ALL\0"):  # a client may have gone in the middle
                session.wire.send(b"Q", statement)
                while session.wire.read()[0] != b"Z":
                    pass
            pool.put(session)

    def relay(self, client: Wire, pool: "queue.Queue[Session]") -> None:
        """Pass one transaction after another on."""
        while True:
            kind, body = client.read()
            if kind == b"X":
                return
            with self.lent(pool) as session:
                while self.pass_on(client, session.wire, kind, body) != b"I":
                    kind, body = client.read()

    @staticmethod
    def pass_on(client: Wire, server: Wire, kind: bytes, body: bytes) -> bytes:
        """Pass a query on, and its answer back; in which state the transaction is then."""
        if kind == b"X":  # it goes in the middle of a transaction
            raise EOFError
        assert kind in b"Qdcf", f"{kind!r} is no simple query"
        server.send(kind, body)
        if kind == b"d":
            return b"T"
        while True:
            told, answer = server.read()
            client.send(told, answer)
            if told == b"Z":
                return answer
            if told == b"G":  # the client's turn to copy
                return b"T"

    def close(self) -> None:
        """Stop, and hang up."""
        self.listener.close()
        for one in self.opened:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
