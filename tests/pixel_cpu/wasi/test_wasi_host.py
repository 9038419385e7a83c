"""What the host refuses is an error of the lane that asked, whatever it asked."""

import os

import numpy as np
import pytest
from wasi_runs import Ours, opened, put_all, wasi

from pixel_cpu.wasi import Preopen, abi
from pixel_cpu.wasi.abi import Errno
from pixel_cpu.wasi.files import Files
from pixel_cpu.wasi.table import CALLS

NEED_NO_FILE = (
    "args",
    "environ",
    "clock",
    "random",
    "sched",
    "proc",
    "fd_prestat",
    "fd_fdstat",
    "fd_advise",
    "fd_tell",
    "fd_close",
    "fd_renumber",
)
NO_ROOM = OSError(24, "Too many open files")


@pytest.mark.parametrize("name", [name for name in CALLS if not name.startswith(NEED_NO_FILE)])
def test_a_host_without_descriptors_is_an_error_of_the_lane(name, tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"1234")
    with wasi(2, directories=[Preopen(tmp_path, "/", True)]) as host:
        ours = Ours(host, 2)
        assert opened(ours, b"file", rights=66, flags=1) == [4, 4]
        put_all(ours, 0, np.array([100, 4], "<u4").tobytes() + b"file")
        wanted = np.zeros(1, abi.SUBSCRIPTION)
        wanted["tag"], wanted["fd"] = 1, 4
        put_all(ours, 1000, wanted.tobytes())
        directory, path, other = (3,), (8, 4), (9, 3)
        operands = {
            "fd_read": (4, 0, 1, 64), "fd_write": (4, 0, 1, 64), "fd_pread": (4, 0, 1, 0, 64), "fd_pwrite": (4, 0, 1, 0, 64),
            "fd_seek": (4, 0, 2, 64), "poll_oneoff": (1000, 2000, 1, 64), "fd_allocate": (4, 0, 10), "fd_filestat_set_size": (4, 1),
            "fd_filestat_set_times": (4, 0, 0, 5), "fd_filestat_get": (4, 64), "fd_readdir": (3, 2000, 100, 0, 64), "fd_sync": (4,),
            "fd_datasync": (4,), "path_filestat_get": (3, 0, *path, 64), "path_filestat_set_times": (3, 0, *path, 0, 0, 5),
            "path_link": (3, 0, *path, 3, *other), "path_rename": (*directory, *path, 3, *other), "path_symlink": (*path, 3, *other),
            "path_open": (3, 0, *path, 0, 2, 0, 0, 64), "path_readlink": (3, *path, 2000, 10, 64),
        }.get(name, (3, *other) if "create" in name else (3, *path))  # fmt: skip

        def refuse(*_: object) -> int:
            raise NO_ROOM

        monkeypatch.setattr(Files, "host", refuse)
        assert ours.call_all(name, *operands).tolist() == [Errno.MFILE] * 2
        monkeypatch.undo()
    assert os.listdir(tmp_path) == ["file"] and (tmp_path / "file").read_bytes() == b"1234"
