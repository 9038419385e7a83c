"""What is written is read again, here and by others; what is interrupted leaves nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from dump_files import RAM
from volatility_layers import read_by_volatility

from qemu_bridge.dumps.dump import layout_of
from qemu_bridge.dumps.unpack import unpack
from qemu_bridge.dumps.write import FORMATS, write_dump
from qemu_bridge.errors import HostError, UsageError
from qemu_bridge.memory.addresses import format_layout
from qemu_bridge.memory.ram import GuestRam


@pytest.fixture
def ram(tmp_path, monkeypatch):
    """A RAM file that holds `RAM`, sparse."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    layout = layout_of((start, start + len(part)) for start, part in RAM.items())
    with open(tmp_path / "ram", "wb") as file:
        file.truncate(layout.size)
        for start, part in RAM.items():
            file.seek(layout.to_offset(start))
            file.write(part)
    with GuestRam(tmp_path / "ram", layout) as found:
        yield found


@pytest.mark.parametrize("kind", FORMATS)
def test_what_is_written_is_read_again(kind, ram, tmp_path):
    told = []
    write_dump(ram, tmp_path / "dump", kind, b"note", lambda done, whole: told.append((done, whole)))
    found = unpack(tmp_path / "dump")
    assert Path(found.ram).read_bytes() == ram.view.tobytes() and not found.missing
    assert found.layout == ("" if kind == "raw" else format_layout(ram.layout))
    assert told[-1][0] == told[-1][1] and (tmp_path / "dump").stat().st_mode & 0o777 == 0o600
    # Holes stay holes.
    assert (tmp_path / "dump").stat().st_blocks <= (tmp_path / "ram").stat().st_blocks + 3 * 8


@pytest.mark.filterwarnings("ignore:The metaschema:DeprecationWarning")
@pytest.mark.parametrize(("kind", "layer"), [("elf", "elf.Elf64Layer"), ("lime", "lime.LimeLayer")])
def test_volatility_reads_the_same(kind, layer, ram, tmp_path):
    write_dump(ram, tmp_path / "dump", kind)
    assert read_by_volatility(layer, (tmp_path / "dump").read_bytes()) == RAM


def test_a_file_is_replaced_only_on_demand(ram, tmp_path):
    path = tmp_path / "dump"
    path.write_bytes(b"mine")
    with pytest.raises(UsageError, match="exists; give another name, or --force"):
        write_dump(ram, path, "elf")
    with pytest.raises(UsageError, match="use elf, lime, raw"):
        write_dump(ram, path, "vmem", force=True)
    with pytest.raises(UsageError, match=r"exists; give another name$"):
        write_dump(ram, tmp_path, "elf", force=True)
    assert path.read_bytes() == b"mine"
    write_dump(ram, path, "elf", force=True)
    assert path.read_bytes()[:4] == b"\x7fELF"


def test_what_is_interrupted_or_has_no_room_leaves_nothing(ram, tmp_path):
    def interrupted(done, whole):
        raise KeyboardInterrupt

    folder = tmp_path / "out"
    folder.mkdir()
    with pytest.raises(KeyboardInterrupt):
        write_dump(ram, folder / "dump", "elf", progress=interrupted)
    program = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from qemu_bridge.dumps.write import write_dump; from qemu_bridge.memory.ram import GuestRam\n"
        "from qemu_bridge.memory.addresses import RamLayout\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))\n"
        "write_dump(GuestRam(Path(sys.argv[1]), RamLayout.flat(0x119000)), Path(sys.argv[2]), 'raw')"
    )
    words = [sys.executable, "-c", program, str(ram.path), str(folder / "dump")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert "HostError: cannot write" in done.stderr and "make room" in done.stderr
    with pytest.raises(HostError, match="give another name"):
        write_dump(ram, Path("/proc/none/dump"), "raw")
    assert not list(folder.iterdir())
