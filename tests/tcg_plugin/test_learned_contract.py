"""Each point of the safety contract of learned loops breaks a situation of `learned_situations` when it is taken out of the plugin.

`POINTS` is the contract: what the plugin or a kernel makes sure of, the situation that is about it, and the place in the source that does it. A plugin
without that place is built and runs the situation in a guest: a wrong answer, a situation that is not met, or no answer shows that the point is needed.
What is refused before a machine starts (several vCPUs, ``-icount``, KVM) is in `tests/qemu_bridge/cli/test_learned.py`; that a recording sees every round
is in `test_learned`.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from unittest import mock

import learned_situations as situations
import pytest
from support import booted

from pixel_cpu.backends.lane_c.compiler import build as compile_library
from pixel_cpu.learn.native import source
from qemu_bridge.errors import GlassBoxError
from tcg_plugin import build

pytestmark = [pytest.mark.guest, pytest.mark.long, pytest.mark.timeout(600)]

KERNEL = "a kernel"
POINTS = {
    "the instructions are compared at each entry": ("twin", "entry.c", "is_same_code(paging, loop, head)", "true"),
    "programs of 64 bits alone": ("compatible", "entry.c", " || (segment & 0xffff) == LINUX_USER32_CS", ""),
    "no single steps": ("stepped", "entry.c", "(TRAP | ALIGNMENT |", "(ALIGNMENT |"),
    "no checks of alignment": ("aligned", "entry.c", "(TRAP | ALIGNMENT |", "(TRAP |"),
    "the direction that std sets": ("std", "direction.c", "(op.bytes[0] == STD)", "(false)"),
    "the direction that popf loads": ("popf", "direction.c", "{\n    (void)address, (void)unused;\n    states[vcpu].forward = is_clear_in(info);", "{\n    (void)address, (void)unused, (void)info;\n    states[vcpu].forward = true;"),
    "the direction that iretq loads": ("turning-signal", "direction.c", "states[vcpu].before && is_clear_in(info)", "states[vcpu].before || is_clear_in(info)"),
    "the direction that sysretq loads": ("system-call", "direction.c", "states[vcpu].forward &= !(gb_guest_register(GB_R11) & DIRECTION);", ""),
    "no direction is known after firmware has managed the system": ("system-management", "direction.c", "op.bytes[1] == RSM || (op.bytes[1] == MOV_TO_CR && (modrm >> 3 & 7) == 0)", "RSM == MOV_TO_CR && modrm"),
    "no direction is known after mov cr0": ("caches", "direction.c", "(op.bytes[1] == MOV_TO_CR && (modrm >> 3 & 7) == 0)", "(op.bytes[1] == MOV_TO_CR && modrm == 0)"),
    "pages that the program may write to": ("fresh", "paging.c", "(is_store ? WRITABLE | DIRTY : 0)", "0"),
    "pages without a key": ("keys", "paging.c", "(paging->has_keys && entry >> KEY_SHIFT & KEYS)", "paging->has_keys > 1"),
    "RAM alone": ("devices", "paging.c", "physical < FIRST_PHYSICAL ? GB_NO_OFFSET : offset_of(physical)", "offset_of(physical)"),
    "pages are looked up anew for each slice": ("reclaimed", "shadow.c", "slice->pages.found[0][i].address = slice->pages.found[1][i].address = 1;", "(void)i;"),
    "no stores to translated code": ("code", "paging.c", "(!code_pages || code_pages[offset_of(*physical) >> PAGE_SHIFT])", "!code_pages"),
    "slices are bounded": ("waiting", "learned.c", "LEAST_ROUNDS = 64,   /* of a slice, where it is not too slow */\n    MOST_ROUNDS = 1 << 16,\n    SLICE_NS = 200000,", "LEAST_ROUNDS = 1 << 24, MOST_ROUNDS = 1 << 24, SLICE_NS = 2000000000,"),
    "who was refused waits longer": ("devices", "learned.c", "one->gate * 2 > LAST_GATE ? LAST_GATE : one->gate * 2", "FIRST_GATE"),
    "passes inside of blocks count": ("usual", "learned.c", "if (i > 0 && ", "if (i == n && "),
    "no rounds in place over the head of a loop that is compared": ("usual", "learned.c", "passes_compared(one, head)", "(false && passes_compared(one, head))"),
    "what was interrupted is not compared": ("changed", "shadow.c", "shadow->returns != returns_count()", "false"),
    "what is not proved stays in shadow": ("usual", "learned.c", "wanted == GB_LEARNED_IN_PLACE && !one->loop->proved", "wanted == GB_LEARNED_OFF"),
    "a round is done whole or not at all": ("half-done", KERNEL, "while (next > before) gb_restore(--next);", ""),
}  # fmt: skip


@pytest.mark.parametrize("point", POINTS)
def test_a_guest_shows_that_a_point_is_missing(point, image, qemu11, tmp_path):
    case, file, place, instead = POINTS[point]
    folder = tmp_path / "plugin"
    shutil.copytree(build.FOLDER, folder, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    natives = [situations.native_loop(name) for name in situations.CODES if name != "WRONG"]
    texts = [source(loop) for loop in natives]
    if file == KERNEL:
        assert all(place in text for text in texts)
        texts = [text.replace(place, instead) for text in texts]
    else:
        text = (folder / file).read_text()
        assert text.count(place) == 1, "the point is where the table says"
        (folder / file).write_text(text.replace(place, instead))
    libraries = tuple(compile_library(text, "-O2") for text in texts)
    program, initrd = situations.compile_probe(tmp_path), tmp_path / "initrd"
    initrd.write_bytes(situations.with_probe(image, program))
    with (
        mock.patch.object(build, "FOLDER", folder),
        mock.patch.dict(os.environ, {"GLASSBOX_QEMU": qemu11}),
        suppress(GlassBoxError),  # the guest, or the whole machine, may come to its end
        booted("contract", image, learned=libraries, initrd=initrd, qemu_args=situations.PROCESSOR) as machine,
    ):
        situations.prepare(machine)
        with pytest.raises((AssertionError, GlassBoxError)):
            situations.check(case, machine, program)


def test_the_places_of_all_points_are_in_the_sources():
    for _, file, place, _ in POINTS.values():
        assert file == KERNEL or (Path(build.FOLDER) / file).read_text().count(place) == 1
