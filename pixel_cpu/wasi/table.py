"""Every call that is served: its operands (``i`` 32 bits, ``I`` 64 bits) and what serves it."""

from __future__ import annotations

from collections.abc import Callable

from . import clock_calls, descriptor_calls, directory_calls, open_calls, path_calls, streams
from .call import Call
from .guest import Array
from .state import State

Handler = Callable[..., None]


def args_sizes_get(state: State, call: Call, count_at: Array, size_at: Array) -> None:
    """How many arguments there are, and their bytes."""
    state.arguments.sizes_get(call, count_at, size_at)


def args_get(state: State, call: Call, pointers_at: Array, texts_at: Array) -> None:
    """The arguments."""
    state.arguments.get(call, pointers_at, texts_at)


def environ_sizes_get(state: State, call: Call, count_at: Array, size_at: Array) -> None:
    """How many variables there are, and their bytes."""
    state.environment.sizes_get(call, count_at, size_at)


def environ_get(state: State, call: Call, pointers_at: Array, texts_at: Array) -> None:
    """The variables, as ``name=value``."""
    state.environment.get(call, pointers_at, texts_at)


_OPERANDS: dict[Handler, str] = {
    args_sizes_get: "ii",
    args_get: "ii",
    environ_sizes_get: "ii",
    environ_get: "ii",
    clock_calls.clock_res_get: "ii",
    clock_calls.clock_time_get: "iIi",
    clock_calls.random_get: "ii",
    clock_calls.poll_oneoff: "iiii",
    clock_calls.sched_yield: "",
    clock_calls.proc_exit: "i",
    clock_calls.proc_raise: "i",
    streams.fd_read: "iiii",
    streams.fd_pread: "iiiIi",
    streams.fd_write: "iiii",
    streams.fd_pwrite: "iiiIi",
    streams.fd_seek: "iIii",
    streams.fd_tell: "ii",
    descriptor_calls.fd_advise: "iIIi",
    descriptor_calls.fd_allocate: "iII",
    descriptor_calls.fd_close: "i",
    descriptor_calls.fd_datasync: "i",
    descriptor_calls.fd_fdstat_get: "ii",
    descriptor_calls.fd_fdstat_set_flags: "ii",
    descriptor_calls.fd_fdstat_set_rights: "iII",
    descriptor_calls.fd_filestat_get: "ii",
    descriptor_calls.fd_filestat_set_size: "iI",
    descriptor_calls.fd_filestat_set_times: "iIIi",
    descriptor_calls.fd_prestat_get: "ii",
    descriptor_calls.fd_prestat_dir_name: "iii",
    directory_calls.fd_readdir: "iiiIi",
    descriptor_calls.fd_renumber: "ii",
    descriptor_calls.fd_sync: "i",
    path_calls.path_create_directory: "iii",
    path_calls.path_filestat_get: "iiiii",
    path_calls.path_filestat_set_times: "iiiiIIi",
    path_calls.path_link: "iiiiiii",
    open_calls.path_open: "iiiiiIIii",
    path_calls.path_readlink: "iiiiii",
    path_calls.path_remove_directory: "iii",
    path_calls.path_rename: "iiiiii",
    path_calls.path_symlink: "iiiii",
    path_calls.path_unlink_file: "iii",
}

CALLS: dict[str, tuple[str, Handler]] = {handler.__name__: (kinds, handler) for handler, kinds in _OPERANDS.items()}
