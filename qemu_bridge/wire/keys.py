"""CURVE keys of this user, whom they let in from other hosts, and which daemons they know.

All of it is in ``$XDG_CONFIG_HOME/glassbox``, in lines of text; a key is 64 hexadecimal digits:

* ``daemon.key``, ``client.key``: the secret keys of this user's daemons and of their clients (mode 0600);
* ``authorized_clients``: who may connect to the daemons, ``ROLE PUBLIC-KEY COMMENT`` a line;
* ``known_daemons``: which key a daemon elsewhere has, ``ADDRESS:PORT PUBLIC-KEY`` a line.

A role is a `Permission`: read, control, which includes it, and write, which includes both.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from ..errors import HostError, UsageError
from ..host.folders import config_folder, own_folder
from ..host.plain_file import read_plain, write_atomic
from .operations import Permission

DAEMON, CLIENT = "daemon", "client"
_FILE_LIMIT = 1 << 20
_KEY = re.compile("[0-9a-f]{64}")
_MAKE = "make one with 'glassbox keys make'"


class KeyPair(NamedTuple):
    """A CURVE key pair: 32 bytes each."""

    public: bytes
    secret: bytes


class AuthorizedClient(NamedTuple):
    """A line of ``authorized_clients``; `key` is hexadecimal."""

    role: Permission
    key: str
    comment: str = ""


def clients_path() -> Path:
    """The file of authorised clients; it may not exist."""
    return config_folder() / "authorized_clients"


def daemons_path() -> Path:
    """The file of known daemons; it may not exist."""
    return config_folder() / "known_daemons"


# --- key pairs -----------------------------------------------------------------------------------------------


def make_pair(name: str) -> KeyPair:
    """The key pair `DAEMON` or `CLIENT` of this user, made if there is none."""
    with contextlib.suppress(FileNotFoundError):
        return _read_pair(name)
    from zmq import curve_keypair
    from zmq.utils import z85

    folder = config_folder()
    own_folder(folder, f"folder {folder} for keys", "XDG_CONFIG_HOME")
    secret = z85.decode(curve_keypair()[1])
    draft = folder / f".{name}-{secrets.token_hex(8)}"
    write_atomic(draft, f"{secret.hex()}\n".encode())
    try:
        # Only one of two that make it at the same moment does, and nobody sees half of it.
        with contextlib.suppress(FileExistsError):
            os.link(draft, folder / f"{name}.key")
    finally:
        draft.unlink()
    return _read_pair(name)


def read_pair(name: str) -> KeyPair:
    """The key pair `DAEMON` or `CLIENT`; `UsageError` where it was not made yet, `HostError` where others can read it."""
    try:
        return _read_pair(name)
    except FileNotFoundError:
        raise UsageError(f"there is no {name} key {config_folder() / name}.key; {_MAKE}") from None


def _read_pair(name: str) -> KeyPair:
    from zmq import curve_public
    from zmq.utils import z85

    path = config_folder() / f"{name}.key"
    key = _read_private(path, stat.S_IRWXG | stat.S_IRWXO).strip()
    if not _KEY.fullmatch(key):
        raise HostError(f"{path} holds no key; remove it and {_MAKE}")
    secret = bytes.fromhex(key)
    return KeyPair(z85.decode(curve_public(z85.encode(secret))), secret)


def _read_private(path: Path, forbidden: int) -> str:
    """The text of a file of ours with none of the mode bits `forbidden`; `FileNotFoundError` if it is not there."""
    try:
        status = path.lstat()
        if status.st_uid == os.getuid() and not status.st_mode & forbidden:
            return read_plain(path, _FILE_LIMIT).decode(errors="replace")
    except FileNotFoundError:
        raise
    except OSError as error:
        raise HostError(f"cannot read {path} ({error.strerror}); make it a file of yours") from None
    raise HostError(f"{path} is open to other users, so it is not used; run 'chmod 600 {path}'")


def parse_key(text: str) -> str:
    """A public key in hexadecimal, as it is stored; `UsageError` for anything else."""
    key = text.strip().lower()
    if not _KEY.fullmatch(key):
        raise UsageError(f"{text[:80]!r} is not a key; give the 64 hexadecimal digits that 'glassbox keys show' prints")
    return key


# --- who may connect -----------------------------------------------------------------------------------------


def read_clients(path: Path) -> dict[str, AuthorizedClient]:
    """The authorised clients in the file at `path`, by key; none if it is not there.

    `HostError` for a file that others may write to or that is damaged: then nobody is authorised.
    """
    try:
        text = _read_private(path, stat.S_IWGRP | stat.S_IWOTH)
    except FileNotFoundError:
        return {}
    clients = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split(maxsplit=2)
        if not words or words[0].startswith("#"):
            continue
        try:
            client = AuthorizedClient(Permission(words[0]), parse_key(words[1]), *words[2:])
        except (ValueError, IndexError):
            raise HostError(
                f"line {number} of {path} is not 'ROLE KEY COMMENT', with a role of {_roles()}; mend or remove it"
            ) from None
        clients[client.key] = client
    return clients


def parse_role(text: str) -> Permission:
    """The role called `text`; `UsageError` for none."""
    try:
        return Permission(text)
    except ValueError:
        raise UsageError(f"there is no role {text!r}; use {_roles()}") from None


def _roles() -> str:
    return ", ".join(role.value for role in Permission)


def allow_client(path: Path, client: AuthorizedClient) -> None:
    """Authorise `client` in the file at `path`, instead of what its key may do now."""
    if "\n" in client.comment or not client.comment.isprintable():
        raise UsageError("a comment is one line of printable text; give another")
    _write_clients(path, [*(each for each in read_clients(path).values() if each.key != client.key), client])


def revoke_client(path: Path, who: str) -> list[AuthorizedClient]:
    """Remove the clients whose key or comment is `who` and return them; `UsageError` if there are none."""
    clients = read_clients(path)
    gone = [client for client in clients.values() if who in (client.key, client.comment)]
    if not gone:
        raise UsageError(f"{path} has no client with the key or comment {who!r}; see 'glassbox keys list'")
    _write_clients(path, (client for client in clients.values() if client not in gone))
    return gone


def _write_clients(path: Path, clients: Iterable[AuthorizedClient]) -> None:
    lines = [f"{client.role.value} {client.key} {client.comment}".rstrip() for client in clients]
    write_atomic(path, "".join(f"{line}\n" for line in lines).encode())


class Authorization:
    """Who may connect now: the file of authorised clients, read again whenever it has changed.

    Attributes:
        problem: why nobody may, empty while the file is sound.
    """

    def __init__(self, path: Path) -> None:
        """`UsageError` for a file in which nobody is authorised, `HostError` for one that is damaged."""
        self.path = path
        self.problem = ""
        self._stamp: object = None
        self._clients: dict[str, AuthorizedClient] = {}
        if not read_clients(path):
            raise UsageError(
                f"nobody is authorised in {path}; allow a client with 'glassbox keys allow KEY --role read'"
            )

    def clients(self) -> dict[str, AuthorizedClient]:
        """The authorised clients by key."""
        try:
            found = self.path.lstat()
            stamp: object = (found.st_ino, found.st_size, found.st_mtime_ns, found.st_mode)
        except OSError:
            stamp = ()
        if stamp != self._stamp:
            self._stamp, self._clients = stamp, {}
            try:
                self._clients, self.problem = read_clients(self.path), ""
            except HostError as error:
                self.problem = str(error)
        return self._clients

    def role_of(self, key: str) -> Permission | None:
        """The role of the client with the public key `key`, in hexadecimal; None for a stranger."""
        client = self.clients().get(key)
        return None if client is None else client.role


# --- daemons elsewhere ---------------------------------------------------------------------------------------


def known_daemons() -> dict[str, str]:
    """The public keys of daemons elsewhere, in hexadecimal, by ``ADDRESS:PORT``."""
    try:
        lines = _read_private(daemons_path(), stat.S_IWGRP | stat.S_IWOTH).splitlines()
    except FileNotFoundError:
        return {}
    words = [line.split() for line in lines]
    return {each[0]: each[1] for each in words if len(each) == 2 and _KEY.fullmatch(each[1])}


def trust_daemon(place: str, key: str) -> None:
    """Remember that the daemon at ``ADDRESS:PORT`` has the public key `key`."""
    daemons = known_daemons() | {place: parse_key(key)}
    folder = config_folder()
    own_folder(folder, f"folder {folder} for keys", "XDG_CONFIG_HOME")
    write_atomic(daemons_path(), "".join(f"{place} {key}\n" for place, key in sorted(daemons.items())).encode())


def find_daemon_key(place: str) -> bytes:
    """The public key of the daemon at ``ADDRESS:PORT``; `UsageError` where none is known."""
    key = known_daemons().get(place)
    if key is None:
        raise UsageError(
            f"the key of the daemon at {place} is not known here; have 'glassbox keys show' run on its host, and give its"
            f" daemon key to 'glassbox keys trust tcp://{place} KEY'"
        )
    return bytes.fromhex(key)
