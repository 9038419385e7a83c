"""The names that are in a guest now, and which of them a word may mean."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ...errors import GlassBoxError, UsageError
from .spelling import is_slip

if TYPE_CHECKING:
    from ...client import Client

_LEAST_PREFIX = 4
KINDS = ("process", "module", "slab", "file")
ALIASES = {
    "shell": ("sh", "bash", "ash", "zsh", "dash"),
    "netcat": ("nc", "ncat"),
    "ssh": ("sshd", "dropbear"),
    "openssh": ("sshd",),
    "cron": ("crond", "cron"),
    "syslog": ("syslogd", "rsyslogd", "syslog-ng"),
    "logger": ("syslogd", "rsyslogd", "klogd"),
    "webserver": ("httpd", "nginx", "lighttpd", "apache2"),
    "httpd": ("httpd", "nginx", "lighttpd", "apache2"),
    "systemd": ("systemd", "init"),
    "libc": ("ld-musl-x86_64.so.1", "libc.so.6"),
    "musl": ("ld-musl-x86_64.so.1",),
    "dentries": ("dentry",),
    "inodes": ("inode_cache",),
}
"""What people call things that have other names."""


@dataclass(frozen=True, slots=True)
class KnownProcess:
    """A process of the guest."""

    pid: int
    parent_pid: int
    name: str


@dataclass(frozen=True, slots=True)
class Match:
    """The `names` of one `kind` that a word may mean; `is_exact` if it is that name itself."""

    kind: str
    names: tuple[str, ...]
    is_exact: bool


class Names(Protocol):
    """Names of a guest. `captures` and `traces` are paths on the host, the newest last."""

    @property
    def processes(self) -> Sequence[KnownProcess]:
        """Every process."""
        ...

    @property
    def modules(self) -> Sequence[str]:
        """Loaded modules."""
        ...

    @property
    def slabs(self) -> Sequence[str]:
        """Slab caches."""
        ...

    @property
    def files(self) -> Sequence[str]:
        """Paths of files in memory."""
        ...

    @property
    def captures(self) -> Sequence[str]:
        """Captures of this machine in the working folder."""
        ...

    @property
    def traces(self) -> Sequence[str]:
        """Trace files in the working folder."""
        ...

    def is_symbol(self, name: str) -> bool:
        """Whether the kernel or a module has a symbol of that name."""
        ...

    def is_type(self, name: str) -> bool:
        """Whether the kernel has a struct or union of that name."""
        ...

    def symbol_address(self, name: str) -> int | None:
        """The address of a symbol; None if it is not known."""
        ...


@dataclass(frozen=True)
class StaticNames:
    """Names that were written down."""

    processes: Sequence[KnownProcess] = ()
    modules: Sequence[str] = ()
    slabs: Sequence[str] = ()
    files: Sequence[str] = ()
    captures: Sequence[str] = ()
    traces: Sequence[str] = ()
    symbols: frozenset[str] = field(default_factory=frozenset)
    types: frozenset[str] = field(default_factory=frozenset)

    def is_symbol(self, name: str) -> bool:
        """Whether it was written down as one."""
        return name in self.symbols

    def is_type(self, name: str) -> bool:
        """Whether it was written down as one."""
        return name in self.types

    def symbol_address(self, name: str) -> int | None:
        """None: addresses are not written down."""
        return None


class GuestNames:
    """Names of a running machine or a capture, asked for when they are needed."""

    def __init__(self, client: Client, folder: Path = Path(), *, are_bare: bool = False) -> None:
        """`folder` is where captures and traces are looked for; their names `are_bare` if they are told without it."""
        self._client, self._folder, self._are_bare = client, folder, are_bare

    @cached_property
    def processes(self) -> Sequence[KnownProcess]:
        """Every process."""
        return tuple(KnownProcess(row.pid, row.parent_pid, row.name) for row in self._client.ps())

    @cached_property
    def modules(self) -> Sequence[str]:
        """Loaded modules."""
        return tuple(row.name for row in self._client.modules())

    @cached_property
    def slabs(self) -> Sequence[str]:
        """Slab caches."""
        return tuple(row["name"] for row in self._client.overlay("slabs").value.rows)

    @cached_property
    def files(self) -> Sequence[str]:
        """Paths of files in memory."""
        return tuple(row["path"] for row in self._client.overlay("page-cache").value.rows if row["path"])

    @cached_property
    def captures(self) -> Sequence[str]:
        """Captures in the folder that were made of a machine of this name."""
        from ...captures.files import read_manifest

        found: list[tuple[float, str]] = []
        for path in sorted(self._folder.glob("*/manifest.json")):
            try:
                manifest = read_manifest(path.parent)
            except (GlassBoxError, OSError):
                continue
            if manifest.name == self._client.name:
                found.append((manifest.taken_at, self._told(path.parent)))
        return tuple(path for _, path in sorted(found))

    @cached_property
    def traces(self) -> Sequence[str]:
        """Trace files in the folder."""
        return tuple(map(self._told, sorted(self._folder.glob("*.gbt"), key=lambda path: path.stat().st_mtime)))

    def _told(self, path: Path) -> str:
        return path.name if self._are_bare else str(path)

    def is_symbol(self, name: str) -> bool:
        """Whether the kernel or a module has a symbol of that name."""
        try:
            return bool(self._client.sym(name).value)
        except UsageError:
            return False

    def is_type(self, name: str) -> bool:
        """Whether the kernel has a struct or union of that name."""
        try:
            return bool(self._client.type_layout(name).value.size)
        except UsageError:
            return False

    def symbol_address(self, name: str) -> int | None:
        """The address of the first symbol of that name; None if there is none."""
        try:
            found = self._client.sym(name).value
        except UsageError:
            return None
        return found[0].address if found else None


def names_of(names: Names, kind: str) -> tuple[str, ...]:
    """All names of a kind, each once."""
    if kind == "process":
        return tuple(dict.fromkeys(process.name for process in names.processes))
    found = {"module": names.modules, "slab": names.slabs, "file": names.files}[kind]
    return tuple(dict.fromkeys(found))


def find_exact(names: Names, word: str, kinds: Iterable[str] = KINDS) -> list[Match]:
    """Names that are `word`, a file's last part included."""
    found = []
    for kind in kinds:
        same = [name for name in names_of(names, kind) if word in (name, short_name(name, kind))]
        if same:
            found.append(Match(kind, tuple(same), True))
    return found


def find_near(names: Names, word: str, kinds: Iterable[str] = KINDS) -> list[Match]:
    """Names that `word` may mean: in other letters' case, by what people call them, by their beginning, or with a slip of the pen."""
    word = word.lower()
    for is_near in (_is_same_but_for_case, _is_alias, _is_daemon_of, _begins_with, _is_misspelt):
        found = []
        for kind in kinds:
            near = [name for name in names_of(names, kind) if is_near(word, short_name(name, kind), kind)]
            if near:
                found.append(Match(kind, tuple(near), False))
        if found:
            return found
    return []


def short_name(name: str, kind: str) -> str:
    """A name as people say it: of a file's path the last part."""
    return posixpath.basename(name) if kind == "file" else name


def _is_same_but_for_case(word: str, name: str, kind: str) -> bool:
    return word == name.lower()


def _is_alias(word: str, name: str, kind: str) -> bool:
    return name in ALIASES.get(word, ())


def _is_daemon_of(word: str, name: str, kind: str) -> bool:
    return kind == "process" and name == f"{word}d"


def _begins_with(word: str, name: str, kind: str) -> bool:
    if len(word) < _LEAST_PREFIX or not name.lower().startswith(word):
        return False
    # Half of it, or all before a dash: ld-musl.
    return 2 * len(word) >= len(name) or name[len(word)] in "-._"


def _is_misspelt(word: str, name: str, kind: str) -> bool:
    return kind in ("process", "module") and is_slip(word, name.lower())
