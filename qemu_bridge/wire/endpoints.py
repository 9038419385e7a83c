"""Where a machine on another host is reached: ``tcp://ADDRESS:PORT`` with CURVE, ``ssh://USER@HOST/NAME`` through ssh.

>>> parse_remote("ssh://me@box/demo")
RemoteName(scheme='ssh', place='me@box', name='demo')
>>> parse_remote("tcp://192.0.2.1:7000").place
'192.0.2.1:7000'
"""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple

from ..errors import UsageError

_SCHEMES = ("tcp", "ssh")
# No word of an ssh command line begins with "-", and none has anything that a shell or ssh's own expansion would see.
_SSH_PLACE = re.compile(
    r"(?:[A-Za-z0-9_][A-Za-z0-9_.-]*@)?(?:[A-Za-z0-9_][A-Za-z0-9_.-]*|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?"
)
_TCP_PLACE = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_.-]*|\[[0-9A-Fa-f:.]+\]):\d{1,5}")


class RemoteName(NamedTuple):
    """Where a machine on another host is: `place` is ``ADDRESS:PORT`` or ``USER@HOST:PORT``; `name` is empty for the one there."""

    scheme: str
    place: str
    name: str = ""

    def __str__(self) -> str:
        return f"{self.scheme}://{self.place}" + (f"/{self.name}" if self.name else "")

    @property
    def host(self) -> str:
        """Of the place, without the port: an IPv6 address in brackets."""
        return re.sub(r":\d+$", "", self.place)

    @property
    def port(self) -> int:
        """Of the place; 0 where it has none."""
        found = re.search(r":(\d+)$", self.place)
        return int(found[1]) if found else 0


def is_remote(name: str) -> bool:
    """Whether `name` says where a machine on another host is."""
    return name.partition("://")[0] in _SCHEMES and "://" in name


def parse_remote(text: str) -> RemoteName:
    """The machine elsewhere that `text` names; `UsageError` for an invalid one."""
    scheme, _, rest = text.partition("://")
    place, slash, name = rest.partition("/")
    pattern = {"tcp": _TCP_PLACE, "ssh": _SSH_PLACE}.get(scheme)
    found = RemoteName(scheme, place, name)
    if (
        pattern is None
        or not pattern.fullmatch(place)
        or found.port > 0xFFFF
        or (scheme == "ssh" and not name)
        or (slash and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name))
    ):
        raise UsageError(f"{text!r} names no machine elsewhere; write ssh://USER@HOST/NAME or tcp://ADDRESS:PORT")
    return found


def on_host(host: str, name: str) -> str:
    """The name by which machine `name` on `host` is reached from here; `host` is ``USER@HOST``, or a URL of either scheme."""
    return str(parse_remote(f"{host if '://' in host else f'ssh://{host}'}/{name}"))


def parse_listen(text: str) -> tuple[str, int]:
    """(IP address, port) of ``tcp://ADDRESS:PORT`` to listen at; port 0 takes a free one. `UsageError` for anything else.

    >>> parse_listen("tcp://127.0.0.1:7000")
    ('127.0.0.1', 7000)
    """
    scheme, _, place = text.partition("://")
    host, colon, port = place.rpartition(":")
    try:
        if scheme != "tcp" or not colon or not port.isdecimal() or not 0 <= int(port) < 0xFFFF:
            raise ValueError
        return str(ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))), int(port)
    except ValueError:
        raise UsageError(
            f"{text!r} is no address to listen at; write tcp://ADDRESS:PORT with an IP address of this host, such as"
            " tcp://192.0.2.1:7000; control listens at that port and events at the next"
        ) from None
