"""Where the service listens, and that it is closed there.

On loopback with a token, or on a unix socket that only its user can open. On any other address only with TLS and a token of the
user's own: without them whoever is on the network reads guests, or listens to who does.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import socket
import ssl
import stat
from dataclasses import dataclass
from pathlib import Path

from ..errors import HostError, UsageError
from ..host.folders import runtime_folder
from ..host.plain_file import read_plain
from .access import LOOPBACK

DEFAULT_ADDRESS = "127.0.0.1:8490"
_TCP = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z.-]+):(\d{1,5})")
_TOKEN = re.compile(r"[A-Za-z0-9._~-]{20,200}")
_HOST_NAME = re.compile(r"[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]+\]")
_TOKEN_BYTES = 32
_BACKLOG = 128


@dataclass(frozen=True, slots=True)
class Listen:
    """What to listen on; `UsageError` for what would not be closed.

    Attributes:
        address: ``HOST:PORT``, port 0 for any free one; ``unix:PATH``, or ``unix:`` for one in the runtime folder.
        certificate, key: PEM files for TLS; None for none.
        token_file: a file that holds the token; None for a random one.
        host_names: names that requests may be addressed to, beside those of `address`.
    """

    address: str = DEFAULT_ADDRESS
    certificate: Path | None = None
    key: Path | None = None
    token_file: Path | None = None
    host_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in self.host_names:
            if not _HOST_NAME.fullmatch(name):
                raise UsageError(f"{name!r} is no host name; write it as in an address, without port")
        if (self.certificate is None) != (self.key is None):
            raise UsageError("TLS needs both a certificate and its key; give --tls-cert and --tls-key")
        if self.is_unix:
            if self.certificate is not None:
                raise UsageError("a unix socket has no TLS; let the proxy before it have it")
            return
        host, _ = self.tcp
        if host in LOOPBACK:
            return
        if self.certificate is None or self.token_file is None:
            raise UsageError(
                f"{host} can be reached from other hosts: give --tls-cert, --tls-key and --token-file, or listen on "
                f"{DEFAULT_ADDRESS} and forward it with ssh (docs/serve.md)"
            )
        if host in ("0.0.0.0", "[::]") and not self.host_names:
            raise UsageError(f"{host} is every address of this host; give --host-name the name that clients use")

    @property
    def is_unix(self) -> bool:
        """Whether it is a unix socket."""
        return self.address.startswith("unix:")

    @property
    def unix_path(self) -> Path:
        """The path of the unix socket."""
        name = self.address.removeprefix("unix:")
        return Path(name).absolute() if name else runtime_folder() / "gateway.socket"

    @property
    def tcp(self) -> tuple[str, int]:
        """(host, port); an IPv6 address is in brackets."""
        found = _TCP.fullmatch(self.address)
        if found is None or int(found[2]) > 65535:
            raise UsageError(f"{self.address!r} is no address to listen on; write HOST:PORT or unix:PATH")
        return found[1].lower(), int(found[2])

    @property
    def hosts(self) -> frozenset[str]:
        """Names that requests may be addressed to."""
        names = {name.lower() for name in self.host_names}
        if self.is_unix or self.tcp[0] in LOOPBACK:
            return LOOPBACK | names
        return frozenset(names | {self.tcp[0]} - {"0.0.0.0", "[::]"})

    def read_token(self) -> str | None:
        """The token: that of the file, or a random one; None for a unix socket without a file, which needs none.

        `UsageError` for a file that others can read, or that holds no token.
        """
        if self.token_file is None:
            return None if self.is_unix else secrets.token_urlsafe(_TOKEN_BYTES)
        try:
            mode = self.token_file.stat().st_mode
            text = read_plain(self.token_file.resolve(), 4096).decode("ascii", "replace").strip()
        except OSError as error:
            raise UsageError(
                f"cannot read the token file {self.token_file} ({error.strerror}); make one with "
                f"'(umask 077; openssl rand -hex 32 > {self.token_file})'"
            ) from None
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise UsageError(
                f"others can open the token file {self.token_file}; 'chmod 600 {self.token_file}' closes it"
            )
        if not _TOKEN.fullmatch(text):
            raise UsageError(f"{self.token_file} holds no token; it is one line of 20 to 200 letters, digits and ._~-")
        return text

    def tls(self) -> ssl.SSLContext | None:
        """TLS from version 1.2 on, with the certificate; None without one. `UsageError` where it cannot be used."""
        if self.certificate is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self.certificate, self.key, password=lambda: "")
        except (OSError, ssl.SSLError) as error:
            raise UsageError(f"{self.certificate} and {self.key} are no certificate and its key ({error})") from None
        return context

    def bind(self) -> socket.socket:
        """The listening socket; `HostError` where another program listens, `UsageError` where nobody could."""
        return _bind_unix(self.unix_path) if self.is_unix else _bind_tcp(*self.tcp)


def url_of(listen: Listen, listener: socket.socket) -> str:
    """The address of the page, without the token; for a unix socket that of the path."""
    if listen.is_unix:
        return f"unix:{listen.unix_path}"
    host, scheme = listen.tcp[0], "http" if listen.certificate is None else "https"
    name = next(iter(listen.host_names), host)
    return f"{scheme}://{name}:{listener.getsockname()[1]}/"


def _bind_tcp(host: str, port: int) -> socket.socket:
    name = host.strip("[]")
    try:
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise UsageError(f"cannot listen on {host} ({error.strerror}); give an address of this host") from None
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise HostError(
            f"cannot listen on {host}:{port} ({error.strerror}); give --listen {host}:0 for any free port"
        ) from None
    return listener


def _bind_unix(path: Path) -> socket.socket:
    _remove_dead(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # The permissions are there before the socket can be opened.
        before = os.umask(0o177)
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise HostError(
            f"cannot listen on {path} ({error.strerror or error}); give --listen unix:PATH another path"
        ) from None
    return listener


def _remove_dead(path: Path) -> None:
    """Remove the socket of a service that has ended; `HostError` where one listens."""
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
        else:
            raise HostError(f"a service listens on {path} already; end it, or give --listen unix:PATH another path")


def remove_socket(listen: Listen, listener: socket.socket) -> None:
    """Close `listener`, and remove its path if it is still its own."""
    if listen.is_unix:
        with contextlib.suppress(OSError):
            listen.unix_path.unlink()
    listener.close()
