"""Random calls of WASI, the same ones for wasmtime and for `Wasi`, on equal folders."""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import wasmtime
from wasi_runs import Ours, Theirs, put, tree, wasi

from pixel_cpu.wasi import Preopen, abi
from pixel_cpu.wasi.abi import Errno

OPTIONS = {
    "arguments": ["prog", "x", "yy"],
    "environment": {"A": "1", "B": "22"},
    "stdin": b"some input of some length",
}
PATHS = [*(
    "f g d d/ d/e d/x lf ld ld/x labs lup lup/etc ldangle loop d/lback d/lout new new/ d/new f/ f/x .. ../f d/.. d/../f d/../.. "
    "d/../../secret . ./ / /f /etc/passwd ld/ ld/.. ld/../f n2 d/e/n lf/ d//x d/./x ./f ldangle/ ld/lback d/e/.. d/e/."
).split(), "", "a" * 300, "x\xff"]  # fmt: skip
_NAMES = [*["path_open"] * 6, *(
    "fd_read fd_write fd_pread fd_pwrite fd_seek fd_tell fd_close fd_renumber fd_fdstat_get fd_fdstat_set_flags fd_fdstat_set_rights "
    "fd_filestat_get fd_filestat_set_size fd_filestat_set_times fd_prestat_get fd_prestat_dir_name fd_readdir fd_datasync fd_advise "
    "path_create_directory path_filestat_get path_filestat_set_times path_link path_readlink path_remove_directory path_rename "
    "path_symlink path_unlink_file poll_oneoff args_get args_sizes_get environ_get environ_sizes_get"
).split()]  # fmt: skip
_PATH, _SECOND, _VECTOR, _DATA, _RESULT, _COUNT = 64, 1024, 2048, 4096, 16384, 512
_OF_NAMES = ("path_link", "path_symlink", "path_unlink_file", "path_remove_directory", "path_rename")


def build(folder: Path) -> list[Preopen]:
    """A writable and a read-only directory with files, links that stay inside and links that lead out."""
    for name in ("rw", "ro"):
        top = folder / name
        (top / "d" / "e").mkdir(parents=True)
        (top / "f").write_bytes(b"0123456789" * 20)
        (top / "g").write_bytes(b"")
        (top / "d" / "x").write_bytes(b"hello")
        for link, target in (
            ("lf", "f"), ("ld", "d"), ("labs", "/etc/passwd"), ("lup", "../../.."), ("ldangle", "nowhere"), ("loop", "loop"),
            ("d/lback", "../f"), ("d/lout", "../../secret"),
        ):  # fmt: skip
            os.symlink(target, top / link)
    (folder / "secret").write_bytes(b"secret")
    return [Preopen(folder / "rw", "/", True), Preopen(folder / "ro", "ro")]


def step(chance: random.Random) -> tuple[str, dict[str, Any]]:
    """A call and what to give it."""
    pick = chance.choice
    given = {name: pick([0, 1, 2, 3, 3, 3, 4, 4, 5, 5, 6, 7, 8, 99]) for name in ("fd", "other")}
    given |= {name: pick([3, 3, 3, 3, 4, 4, 5, 6, 7, 1, 99]) for name in ("directory", "second")}
    given |= {name: pick(PATHS) for name in ("path", "new")}
    given["lookup"], given["how"] = pick([0, 1, 1]), pick([0, 0, 0, 1, 1, 2, 4, 5, 8, 9, 3, 13])
    given["rights"], given["flags"] = (
        pick([2, 64, 66, 2 | 1 << 14, 0, 66, abi.ALL_RIGHTS]),
        pick([0, 0, 0, 0, 1, 4, 2, 16]),
    )
    given["bytes"], given["offset"], given["whence"] = (
        pick([0, 1, 5, 300]),
        pick([0, 0, 3, 150, 500, -1, -5]),
        pick([0, 1, 2, 3]),
    )
    given["time"], given["times"] = pick([0, 10**18, 5]), pick([0, 1, 2, 4, 5, 8, 10, 3])
    given["length"], given["size"], given["cookie"] = (
        pick([0, 3, 10, 24, 60, 500]),
        pick([0, 5, 1000]),
        pick([0, 0, 1, 2, 3, 50]),
    )
    return pick(_NAMES), given


def do(host: Theirs | Ours, name: str, given: dict[str, Any]) -> tuple[int, np.ndarray]:
    """The error of a call, and the guest's memory after it."""
    host.memory[:] = 0
    path = put(host, _PATH, given["path"].encode("latin1"))
    new = put(host, _SECOND, given["new"].encode("latin1"))
    put(host, _VECTOR, np.array([_DATA, given["bytes"]], "<u4").tobytes())
    if name in ("fd_write", "fd_pwrite"):
        put(host, _DATA, bytes(range(256)) * 2)
    count = 1 + (given["bytes"] > 0)
    if name == "poll_oneoff":
        wanted = np.zeros(2, abi.SUBSCRIPTION)
        wanted["userdata"], wanted["tag"], wanted["fd"] = (
            [7, 9],
            [1 + given["whence"] % 2, 2],
            [given["fd"], given["other"]],
        )
        put(host, _DATA, wanted.tobytes())
    fd, top, second, at = given["fd"], given["directory"], given["second"], max(given["offset"], 0)
    rights, times = given["rights"], (given["time"], given["time"], given["times"])
    operands: dict[str, Sequence[int]] = {
        "path_open": (top, given["lookup"], _PATH, path, given["how"], rights, rights, given["flags"], _RESULT),
        "fd_pread": (fd, _VECTOR, 1, at, _RESULT), "fd_pwrite": (fd, _VECTOR, 1, at, _RESULT),
        "fd_seek": (fd, given["offset"], given["whence"], _RESULT),
        "fd_renumber": (fd, given["other"]), "fd_fdstat_set_flags": (fd, given["flags"]), "fd_fdstat_set_rights": (fd, rights, 0),
        "fd_filestat_set_size": (fd, given["size"]), "fd_filestat_set_times": (fd, *times),
        "fd_prestat_dir_name": (fd, _RESULT, given["length"]), "fd_readdir": (fd, _RESULT, given["length"], given["cookie"], _COUNT),
        "fd_advise": (fd, 0, 10, given["whence"]), "path_filestat_get": (top, given["lookup"], _PATH, path, _RESULT),
        "path_filestat_set_times": (top, given["lookup"], _PATH, path, *times),
        "path_link": (top, given["lookup"] * (given["bytes"] == 1), _PATH, path, second, _SECOND, new),
        "path_rename": (top, _PATH, path, second, _SECOND, new), "path_symlink": (_PATH, path, top, _SECOND, new),
        "path_readlink": (top, _PATH, path, _RESULT, given["length"], _COUNT), "poll_oneoff": (_DATA, _RESULT, count, _COUNT),
    }  # fmt: skip
    if name in ("fd_read", "fd_write"):
        operands[name] = (fd, _VECTOR, 1, _RESULT)
    elif name in ("fd_tell", "fd_fdstat_get", "fd_filestat_get", "fd_prestat_get"):
        operands[name] = (fd, _RESULT)
    elif name in ("fd_close", "fd_datasync"):
        operands[name] = (fd,)
    elif name in ("path_create_directory", "path_remove_directory", "path_unlink_file"):
        operands[name] = (top, _PATH, path)
    error = host.call(name, *operands.get(name, (_RESULT, _RESULT + (4 if "sizes" in name else 64))))
    return error, _compared(host.memory.copy(), name, given)


def _compared(memory: np.ndarray, name: str, given: dict[str, Any]) -> np.ndarray:
    """Without what the two may give differently: device, inode, times, a directory's size and order of entries, padding."""
    if "filestat_get" in name:
        memory[_RESULT : _RESULT + 16] = memory[_RESULT + 40 : _RESULT + 64] = 0
        if memory[_RESULT + 16] == abi.Filetype.DIRECTORY:
            memory[_RESULT + 24 : _RESULT + 40] = 0
    if name == "fd_readdir":
        memory[_RESULT : _RESULT + 2000] = 0
        if given["cookie"]:  # `Wasi` goes on with what it saw at cookie 0
            memory[_COUNT : _COUNT + 4] = 0
    if (
        name == "poll_oneoff" and given["bytes"]
    ):  # of two descriptors wasmtime tells those that its threads have ready by then
        memory[_RESULT : _RESULT + 64] = memory[_COUNT : _COUNT + 4] = 0
    if name == "fd_fdstat_get":
        memory[_RESULT + 1] = 0
    return memory


def _is_open_question(name: str, given: dict[str, Any], theirs: int, ours: int) -> bool:
    """Two errors where both refuse, by different names."""
    if name in _OF_NAMES and theirs and ours:
        # A slash or a dot at the end of a name that is changed.
        return any(given[each][-1:] in ("/", ".") for each in ("path", "new"))
    if name == "path_open" and theirs == Errno.LOOP and ours == Errno.NOTDIR:
        return bool(given["how"] & abi.Oflags.DIRECTORY)
    return name == "fd_read" and theirs == Errno.INTR and given["bytes"] == 0


def compare(folder: Path, seed: int, steps: int) -> int:
    """Do the same calls with both; how many succeeded. Asserts equal errors, memory, and in the end files."""
    chance = random.Random(seed)
    own, other = build(folder / "ours"), build(folder / "theirs")
    (folder / "streams").mkdir()
    theirs = Theirs(folder / "streams", other, **OPTIONS)
    succeeded = 0
    with wasi(1, OPTIONS["arguments"], OPTIONS["environment"], stdin=OPTIONS["stdin"], directories=own) as made:
        ours = Ours(made)
        for _ in range(steps):
            name, given = step(chance)
            try:
                error, memory = do(theirs, name, given)
            except (wasmtime.Trap, wasmtime.WasmtimeError):  # wasmtime traps where `Wasi` gives an error
                do(ours, name, given)
                continue
            found, own_memory = do(ours, name, given)
            if _is_open_question(name, given, error, found):
                continue
            assert Errno(found) == Errno(error), (seed, name, given)
            assert np.array_equal(own_memory, memory), (seed, name, given)
            succeeded += error == 0
    assert tree(folder / "ours") == tree(folder / "theirs"), seed
    return succeeded


def compare_paths(folder: Path, name: str, paths: Sequence[str], **ranges: Sequence[Any]) -> int:
    """One call on each of `paths`, in both directories and with all of what `ranges` give; how many were compared."""
    own, other = build(folder / "ours"), build(folder / "theirs")
    (folder / "streams").mkdir()
    theirs = Theirs(folder / "streams", other, **OPTIONS)
    _, given = step(random.Random(0))
    count = 0
    with wasi(1, OPTIONS["arguments"], OPTIONS["environment"], stdin=OPTIONS["stdin"], directories=own) as made:
        ours = Ours(made)
        for path, top, *values in itertools.product(paths, (3, 4), *ranges.values()):
            wanted = given | {"path": path, "directory": top} | dict(zip(ranges, values, strict=True))
            error, found = (do(host, name, wanted)[0] for host in (theirs, ours))
            assert Errno(found) == Errno(error), wanted
            count += 1
    return count
