"""TLS in front of a real server, since the embedded one is built without it: what a managed service looks like."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import trustme

CHUNK = 1 << 16
HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """A port that speaks TLS, and the files that clients need: who signed its certificate, and one of their own."""

    port: int
    authority: Path
    client: Path

    def url(self, *options: str, user: str = "", scheme: str = "rediss") -> str:
        """Its address; `options` as in a URL."""
        return f"{scheme}://{user}{HOST}:{self.port}" + (f"?{'&'.join(options)}" if options else "")


@contextmanager
def tls_front(folder: Path, upstream: str, *, mutual: bool = False) -> Iterator[Front]:
    """TLS for `upstream`, a unix:// or redis:// address; `mutual`: clients have to show a certificate."""
    folder.mkdir(parents=True, exist_ok=True)
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST).configure_cert(context)
    if mutual:
        authority.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    authority.cert_pem.write_to_path(folder / "ca.pem")
    authority.issue_cert("client.test").private_key_and_cert_chain_pem.write_to_path(folder / "client.pem")
    with socket.create_server((HOST, 0)) as listener:
        threading.Thread(target=_accept, args=(listener, context, upstream), daemon=True).start()
        yield Front(port=listener.getsockname()[1], authority=folder / "ca.pem", client=folder / "client.pem")


def _accept(listener: socket.socket, context: ssl.SSLContext, upstream: str) -> None:
    with suppress(OSError):  # closed at the end
        while True:
            raw, _ = listener.accept()
            threading.Thread(target=_serve, args=(raw, context, upstream), daemon=True).start()


def _serve(raw: socket.socket, context: ssl.SSLContext, upstream: str) -> None:
    """Both directions of one connection; TLS sockets may be read and written by two threads at once."""
    with suppress(OSError), raw, context.wrap_socket(raw, server_side=True) as client, _connect(upstream) as server:
        back = threading.Thread(target=_pump, args=(server, client), daemon=True)
        back.start()
        _pump(client, server)
        back.join()


def _connect(upstream: str) -> socket.socket:
    address = urlsplit(upstream)
    if address.scheme == "unix":
        server = socket.socket(socket.AF_UNIX)
        server.connect(address.path)
        return server
    return socket.create_connection((address.hostname or HOST, address.port or 0))


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(CHUNK):
            sink.sendall(data)
    for end in (source, sink):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
