"""A TLS server on loopback with a self-signed certificate."""

import datetime
import ipaddress
import re
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import override

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)
LIMIT = 10.0
"""Timeout in seconds of a connection to the server."""


def certified(folder: Path, address: str, *, age: datetime.timedelta = DAY) -> ssl.SSLContext:
    """Return a server's TLS context with a self-signed certificate for the IP address `address`.

    The certificate is saved as `certificate.pem` in `folder`. Its validity began `age` ago and lasts two days. So it
    has expired if `age` is more than two days, and is not valid yet if `age` is negative.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, address)])
    begin = datetime.datetime.now(datetime.UTC) - age
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + 2 * DAY)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(pem))
    (folder / "key.pem").write_bytes(key.private_bytes(pem, *plain))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    return context


@dataclass
class TlsServer:
    """A running server: its port, and the number of connections that it accepted."""

    port: int = 0
    accepted: int = 0


@contextmanager
def tls_server(tls: ssl.SSLContext | None, response: bytes = b"") -> Iterator[TlsServer]:
    """Run and yield a server that sends `response` to each request and closes the connection.

    Without `tls`, it reads the first bytes of the handshake and sends `response` in plain text. The server runs in
    threads, because asyncio does not tell a server about connections whose handshake fails.
    """
    seen = TlsServer()

    class Handler(socketserver.BaseRequestHandler):
        @override
        def handle(self) -> None:
            seen.accepted += 1
            self.request.settimeout(LIMIT)
            with suppress(OSError):  # the client closed the connection
                if tls is None:
                    self.request.recv(65536)
                    self.request.sendall(response)
                    return
                with tls.wrap_socket(self.request, server_side=True, do_handshake_on_connect=False) as channel:
                    try:
                        channel.do_handshake()
                    except ssl.SSLError:
                        _drain(channel)
                    else:
                        _read_request(channel)
                        channel.sendall(response)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        seen.port = server.server_address[1]
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        try:
            yield seen
        finally:
            server.shutdown()
            serving.join()


def _read_request(channel: socket.socket) -> None:
    """Read a request with its body: closing a connection with unread data resets it, and discards the response."""
    request = b""
    while b"\r\n\r\n" not in request:
        if not (part := channel.recv(65536)):
            return
        request += part
    head, _, body = request.partition(b"\r\n\r\n")
    length = re.search(rb"\r\nContent-Length: *([0-9]+)", head, re.IGNORECASE)
    missing = int(length[1]) - len(body) if length else 0
    while missing > 0 and (part := channel.recv(65536)):
        missing -= len(part)


def _drain(channel: ssl.SSLSocket) -> None:
    """Read until the client closes the connection: closing it first may discard the alert that was sent."""
    with socket.socket(fileno=channel.detach()) as plain:
        plain.settimeout(LIMIT)
        while plain.recv(65536):
            pass
