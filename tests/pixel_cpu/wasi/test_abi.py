"""Numbers and layouts of WASI."""

import errno
import os

from pixel_cpu.wasi import abi


def test_errors_of_the_host_have_their_numbers():
    numbers = {
        errno.ENOENT: 44,
        errno.E2BIG: 1,
        errno.EPERM: 63,
        errno.EXDEV: 75,
        errno.ENOTEMPTY: 55,
        errno.ESTALE: 72,
        9999: 29,
    }
    for number, expected in numbers.items():
        assert abi.errno_of(OSError(number, "")) == expected
    assert abi.Errno.NOTCAPABLE == 76 and len(abi.Errno) == 77


def test_layouts_have_the_sizes_of_the_specification():
    assert [each.itemsize for each in (abi.FDSTAT, abi.FILESTAT, abi.SUBSCRIPTION, abi.EVENT, abi.DIRENT)] == [
        24,
        64,
        48,
        32,
        24,
    ]


def test_what_the_host_says_of_a_file_is_laid_out(tmp_path):
    (tmp_path / "f").write_bytes(b"abc")
    row = abi.filestat_of(os.stat(tmp_path / "f"))[0]
    assert (row["size"], row["nlink"], row["filetype"]) == (3, 1, abi.Filetype.REGULAR_FILE)
    assert abi.filetype_of(os.stat("/dev/null").st_mode) == abi.Filetype.CHARACTER_DEVICE
