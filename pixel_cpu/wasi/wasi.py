"""WASI preview 1 for many lanes: a round of calls is served at once.

>>> wasi = Wasi(3, [["count", "a.txt"], ["count", "b.txt"], ["count", "c.txt"]], directories=[Preopen("data", "/")])
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np

from ..errors import UsageError
from ..frontends.wasm.posts import DESCRIPTOR_BITS
from ..runtime.printed import STDERR, STDOUT, Printed, Sink
from ..runtime.rounds import Reply, Request
from . import streams
from .abi import PREFIX, Errno
from .call import Call
from .descriptors import MOST_DESCRIPTORS, ROW, Descriptors, Kind
from .guest import Array, Guest, Index
from .lists import Inputs, Lists
from .preopens import Preopen
from .state import State
from .table import CALLS

_log = logging.getLogger(__name__)

Text = str | bytes


class Wasi(State):
    """The host of `lanes` programs.

    `arguments` are one list for all lanes or one for each, the program's name first; `environment` and `stdin` likewise. `directories` are
    what lanes may see of the host. With a `seed` all lanes get the same random bytes. Output goes to `sink`; without one it is kept for `stdout` and
    `stderr`. A lane has at most `descriptors`, all together `host_files` open on the host. `numbers` are what ``{id}`` in a directory means
    for each lane; without them their numbers from 0 on.

    Raises `UsageError` for a directory that is not there, texts with NUL, and lists that are not as many as lanes.
    """

    def __init__(
        self,
        lanes: int,
        arguments: Sequence[Text] | Sequence[Sequence[Text]] = (),
        environment: Mapping[str, str] | Sequence[Mapping[str, str]] = {},  # never changed
        *,
        stdin: bytes | Sequence[bytes] = b"",
        directories: Sequence[Preopen] = (),
        seed: int | None = None,
        sink: Sink | None = None,
        descriptors: int = MOST_DESCRIPTORS,
        host_files: int | None = None,
        numbers: Sequence[int] | None = None,
    ) -> None:
        if lanes < 1:
            raise UsageError(f"{lanes} lanes; give one at least")
        pieces = [stdin] if isinstance(stdin, bytes) else _one_each(list(stdin), lanes, "stdin")
        texts = Lists(_argument_lists(arguments, lanes)), Lists(_environment_lists(environment, lanes))
        self.output = Printed() if sink is None else None
        found = sink or self.output
        assert found is not None
        super().__init__(lanes, texts, Inputs(pieces), directories, seed, found, descriptors, host_files, numbers)
        self._unknown: set[str] = set()

    def serve(self, request: Request) -> Reply:
        """Serve one call for all lanes that wait in it. `UsageError` for an import that is not WASI's, or has other operands."""
        name = request.name.removeprefix(PREFIX)
        if name == request.name:
            raise UsageError(f"the module imports {request.name}, which WASI preview 1 does not have")
        if name not in CALLS:
            if name not in self._unknown:
                self._unknown.add(name)
                _log.warning("%s is not supported; programs that call it get ENOSYS", name)
            return Reply((np.full(len(request.lanes), Errno.NOSYS, np.int32),))
        kinds, handler = CALLS[name]
        given = "".join("i" if operand.dtype.itemsize == 4 else "I" for operand in request.operands)
        if given != kinds:
            raise UsageError(
                f"the module imports {name} with operands {given!r}, WASI has {kinds!r} (i: 32 bits, I: 64 bits)"
            )
        call = Call(request.lanes, Guest(request.memory, request.lanes, request.sizes))
        operands = (each.astype(np.uint32).astype(np.int64) if kind == "i" else each.astype(np.int64)
                    for kind, each in zip(kinds, request.operands, strict=True))  # fmt: skip
        handler(self, call, *operands)
        if call.until is not None:
            call.until[call.errors != 0] = 0
        return Reply(() if name == "proc_exit" else (call.errors,), call.ended, call.until)

    @property
    def streams(self) -> Array:
        """For each lane a bit for each of its descriptors that is a standard stream, where writes may be answered in place: see `posts`."""
        kinds = self.descriptors.table["kind"][:, : 1 << DESCRIPTOR_BITS]
        is_stream = (kinds == Kind.STDOUT) | (kinds == Kind.STDERR)
        found: Array = (is_stream << np.arange(kinds.shape[1], dtype=np.uint32)).sum(axis=1, dtype=np.uint32)
        return found

    def take(self, lanes: Index, sizes: Array, records: Array) -> None:
        """Take what lanes wrote to streams: `sizes` bytes of records, as `posts` says, in each lane's row of `records`."""
        streams.take(self, lanes, sizes, records)

    def restart(self, lanes: Index) -> None:
        """Lanes begin anew; what they wrote stays."""
        self.finish(lanes)
        fresh = Descriptors(1, len(self.names), self.descriptors.most)
        self.descriptors.table[lanes] = np.zeros(1, ROW)
        self.descriptors.table["file"][lanes] = -1
        self.descriptors.table[lanes, : fresh.table.shape[1]] = fresh.table[0]
        self.descriptors.taken[lanes] = fresh.taken[0]
        self.exit_codes[lanes] = self.drawn[lanes] = 0

    @property
    def stdout(self) -> list[bytes]:
        """What each lane wrote to stdout. `UsageError` where it went to a sink."""
        return self._written(STDOUT)

    @property
    def stderr(self) -> list[bytes]:
        """What each lane wrote to stderr. `UsageError` where it went to a sink."""
        return self._written(STDERR)

    def _written(self, stream: int) -> list[bytes]:
        if self.output is None:
            raise UsageError("the output went to the sink that was given")
        return [self.output.read(lane, stream) for lane in range(self.lanes)]

    def close(self) -> None:
        """Close every file of the host, and forget the output."""
        self.files.close()
        if self.output:
            self.output.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _bytes(text: Text, what: str) -> bytes:
    found = os.fsencode(text)
    if b"\0" in found:
        raise UsageError(f"{what} {found!r} has a NUL, which ends a text; leave it out")
    return found


def _one_each(lists: list, lanes: int, what: str) -> list:  # type: ignore[type-arg]  # lists of anything
    if len(lists) != lanes:
        raise UsageError(f"{what} for {len(lists)} lanes, but there are {lanes}; give one for all, or one for each")
    # One lane that has its own is like one for all.
    return lists


def _argument_lists(given: Sequence[Text] | Sequence[Sequence[Text]], lanes: int) -> list[list[bytes]]:
    texts = [each for each in given if isinstance(each, (str, bytes))]
    if len(texts) == len(given):
        return [[_bytes(each, "argument") for each in texts]]
    if texts:
        raise UsageError("arguments are one list of texts, or a list of them for each lane, not both")
    lists = [[_bytes(text, "argument") for text in each if not isinstance(text, int)] for each in given]
    return _one_each(lists, lanes, "arguments")


def _environment_lists(given: Mapping[str, str] | Sequence[Mapping[str, str]], lanes: int) -> list[list[bytes]]:
    if not isinstance(given, Mapping):
        return [_environment_lists(each, 1)[0] for each in _one_each(list(given), lanes, "environments")]
    for name in given:
        if not name or "=" in name:
            raise UsageError(f"{name!r} is no name of a variable; it needs a letter and no =")
    return [[_bytes(f"{name}={value}", "variable") for name, value in given.items()]]
