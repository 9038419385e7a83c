"""Types, functions and variables, as gdb and binutils read them; and BTF that is made to do harm."""

from __future__ import annotations

import random
import re
import subprocess
from pathlib import Path

import numpy as np
from memory_samples import BtfWriter, every_kind_of_type

from qemu_bridge.errors import NoTypesError
from qemu_bridge.kernel.debug_file.elf import OBJECT, ElfSymbol, Region, elf_file
from qemu_bridge.kernel.debug_file.types import type_sections
from qemu_bridge.kernel.symbols.btf import parse_btf

BASE = 0xFFFFFFFF81000000


def write(path: Path, section: bytes) -> Path:
    """A file of the types, with a function and variables."""
    variables = {
        "first": (BASE + 64, "struct task *"),
        "second": (BASE + 72, 6),
        "third": (BASE + 80, "struct unheard"),
    }
    found = type_sections(parse_btf(section), {"do_it": (BASE, 16), "not_in_btf": (BASE + 16, 8)}, variables)
    sections = {".debug_info": found.info, ".debug_abbrev": found.abbreviations, ".debug_str": found.strings}
    symbols = [ElfSymbol(name.encode(), at, 8, OBJECT, True) for name, (at, _) in variables.items()]
    path.write_bytes(b"".join(elf_file([Region(".text", BASE, 4096, True)], symbols, sections)))
    return path


def ask(path: Path, *questions: str) -> list[str]:
    """What gdb answers."""
    words = [word for question in questions for word in ("-ex", question, "-ex", "echo --\\n")]
    done = subprocess.run(
        ["gdb", "-q", "-nx", "-batch", *words, path], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr in ("", 'No symbol "ouroboros" in current context.\n'), done.stderr
    return [each.strip() for each in done.stdout.split("--\n")][: len(questions)]


def test_gdb_knows_every_kind_of_type(tmp_path):
    path = write(tmp_path / "vmlinux", every_kind_of_type())
    layout, *rest = ask(
        path, "ptype /o struct flags", "p (int) DEAD", "p LOW", "p TOP", "whatis first", "whatis second"
    )
    found = re.findall(r"/\* *(\d+)(?:: ?(\d+))? *\| *4 \*/ +int (\w+)(?: : (\d))?;", layout)
    assert found == [("0", "0", "ready", "1"), ("0", "1", "mode", "5"), ("0", "", "plain", "")], layout
    assert rest == ["$1 = -1", "$2 = LOW", "$3 = TOP", "type = struct task *", "type = struct task"]
    assert ask(
        path, "p sizeof(struct holder)", "p &((struct holder *)0)->task.comm", "p &((struct task *)0)->high",
        "p (long) TOP", "whatis do_it", "ptype task_t", "p sizeof(double)",
    ) == [
        "$1 = 48", "$2 = (char (*)[16]) 0x18", "$3 = (int *) 0xc", f"$4 = {1 << 40}", "type = int (int, struct task)",
        "type = const volatile struct task {\n    int state;\n    union {\n        struct {...};\n        int whole;\n    };\n    char comm[16];\n}",
        "$5 = 8",
    ]  # fmt: skip


def test_what_leads_back_to_itself_ends(tmp_path):
    w = BtfWriter()
    integer = w.integer("int", 4, 1)
    w.add(8, "ouroboros", w.count + 1)
    w.add(10, "", w.count + 2), w.add(9, "", w.count)
    w.array(w.count + 1, integer, 3)
    w.add(18, "tag", w.count + 1)
    struct = w.aggregate("lasting", 8, [("self", w.count + 1, 0), ("value", integer, 32), ("lost", 9999, 0)])
    w.add(8, "\x1b[2Jnasty", struct)
    w.array(w.count + 3, integer, 0)
    w.aggregate("outer", 8, [("inner", w.count + 2, 0), ("value", integer, 32)])
    w.aggregate("inner", 4, [("value", integer, 0), ("others", w.count - 1, 32)])
    path = write(tmp_path / "vmlinux", w.section())
    assert ask(path, "whatis (ouroboros *) 0", "p sizeof(struct lasting)", "p &((struct lasting *) 0)->value", "p sizeof(struct outer)") == [
        "", "$1 = 8", "$2 = (int *) 0x4", "$3 = 8",
    ]  # fmt: skip
    assert b"\x1b[" not in path.read_bytes()


def test_types_that_lie_give_a_file_that_can_be_read(tmp_path):
    section, rng = every_kind_of_type(), random.Random(3)
    tried = 0
    for number in range(300):
        words = np.frombuffer(section[24:], "<u4" if len(section) % 4 == 0 else "u1").copy()
        for _ in range(rng.randrange(1, 6)):
            words[rng.randrange(len(words))] = rng.choice([0, 1, rng.randrange(256)])
        try:
            path = write(tmp_path / f"vmlinux-{number % 2}", section[:24] + words.tobytes())
        except NoTypesError:
            continue
        tried += 1
        if tried % 10 == 0:
            done = subprocess.run(["readelf", "-wi", path], capture_output=True, text=True, timeout=60, check=True)
            assert done.stderr == "", done.stderr
    assert tried > 50
