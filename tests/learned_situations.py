"""Situations of the safety contract of learned loops, and how one is checked: a program does in a guest what it does on this host."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

from x86_loops import machine_loop

from pixel_cpu.frontends.x86 import MachineLoop
from pixel_cpu.learn.native import NativeLoop, native_of
from qemu_bridge.images.initramfs import Tree, compress
from qemu_bridge.trace.recording.control import TraceControl
from tcg_plugin.layout import Learned

CODES = {
    # mov al, [rsi]; xor [rdi], al; inc rsi; inc rdi; dec ecx; jnz head
    "XOR": ("8a06", "3007", "48ffc6", "48ffc7", "ffc9", "75f2"),
    # movzx eax, byte [rsi]; lea rbx, [rbx + 4 * rbx]; add rbx, rax; inc rsi; dec ecx; jnz head
    "SUM": ("0fb606", "488d1c9b", "4801c3", "48ffc6", "ffc9", "75ef"),
    # mov ecx, 16; rep movsb; dec r8d; jnz head
    "MOVE": ("b910000000", "f3a4", "41ffc8", "75f4"),
    # movdqu xmm1, [rsi]; pxor xmm0, xmm1; add rsi, 16; dec ecx; jnz head
    "VECTORS": ("f30f6f0e", "660fefc1", "4883c610", "ffc9", "75f0"),
    # inc byte [rdi]; movzx eax, byte [rsi]; add rbx, rax; inc rsi; inc rdi; dec ecx; jnz head
    "COUNT": ("fe07", "0fb606", "4801c3", "48ffc6", "48ffc7", "ffc9", "75ee"),
    # inc rbx; mov eax, [rdi]; test eax, eax; jz head
    "AWAIT": ("48ffc3", "8b07", "85c0", "74f7"),
    # movzx eax, byte [rsi]; test al, 1; jz over; add rbx, 3; over: lea rbx, [rbx + 4 * rbx]; add rbx, rax; inc rsi; dec ecx; jnz head
    "HOP": ("0fb606", "a801", "7404", "4883c303", "488d1c9b", "4801c3", "48ffc6", "ffc9", "75e7"),
    # As HOP, whose rounds begin at over.
    "OVER": ("0fb606", "a801", "7404", "4883c303", "488d1c9b", "4801c3", "48ffc6", "ffc9", "75e7"),
    # again: xor edx, edx; head: add edx, ecx; add rbx, rdx; dec ecx; test cl, 3; jnz head; test ecx, ecx; jnz again
    "NEST": ("31d2", "01ca", "4801d3", "ffc9", "f6c103", "75f4", "85c9", "75ee"),
    # movzx eax, byte [rsi]; sub rbx, rax; inc rsi; dec ecx; jnz head
    "WRONG": ("0fb606", "4829c3", "48ffc6", "ffc9", "75f3"),
}
HOP_TWIN = ("0fb606", "a801", "7404", "4883c303", "488d1c9b", "4829c3", "48ffc6", "ffc9", "75e7")
"""HOP, but that it takes away; nobody has learned it."""
SOUND = ("XOR", "SUM", "MOVE", "VECTORS", "COUNT", "AWAIT", "HOP", "OVER", "NEST")
UNPROVED = ("OVER", "NEST")
HEADS = {"NEST": 1, "OVER": 4}
"""Heads that are not the first instruction: QEMU's blocks have them in the middle, too."""
MISTAKEN = ("0fb606", "4801c3", "48ffc6", "ffc9", "75f3")
"""What the kernel of WRONG does: it adds."""
CASES = {
    "usual": ("XOR", None),
    "fresh": ("XOR", "page"),
    "overlap": ("XOR", None),
    "code": ("XOR", "code_page"),
    "read-only": ("XOR", "page"),
    "forked": ("XOR", "page"),
    "interrupted": ("XOR", None),
    "stepped": ("XOR", "flags"),
    "std": ("MOVE", "direction"),
    "popf": ("MOVE", "direction"),
    "turning-signal": ("MOVE", "direction"),
    "system-call": ("MOVE", "direction"),
    "system-management": ("MOVE", "direction"),
    "caches": ("MOVE", "direction"),
    "shared": ("XOR", None),
    "reclaimed": ("XOR", "page"),
    "compatible": ("XOR", "mode"),
    "aligned": ("XOR", "flags"),
    "keys": ("XOR", "page"),
    "devices": ("SUM", "no_ram"),
    "twin": ("HOP", "code"),
    "half-done": ("COUNT", "page"),
    "waiting": ("AWAIT", None),
    "changed": ("SUM", None),
}
"""Situations, a loop in each, and the reason that its kernel has to stop for, if there is one."""
MOST_ROUNDS = 1 << 16
"""Of a slice."""
MOST_VISITS = {"devices": 5000}
"""So often at most; 64 passes apart it would be 20,000 times."""
PROCESSOR = ("-cpu", "max,la57=off")
"""Options of QEMU: one that has keys of pages."""
COMPARED = ("changed",)
"""Situations in shadow, which are met where a comparison is abandoned."""
REFUSED = ("code", "stepped", "compatible", "aligned", "devices")
"""Where nothing of the loop is done in place."""
SWAP = "dd if=/dev/zero of=/tmp/swap bs=1M count=8 && losetup /dev/loop0 /tmp/swap && mkswap /dev/loop0 && swapon /dev/loop0"
MOST_RUNS = 20
"""Where QEMU was faster, as on a busy host, the plugin looks at a loop once in 16,384 passes; the shortest situation has 1,000."""


def loop_of(name: str) -> MachineLoop:
    """A loop's code, as it was learned."""
    code = machine_loop(*CODES[name])
    return replace(code, head=sorted(code.instructions)[HEADS.get(name, 0)])


def native_loop(name: str) -> NativeLoop:
    """The loop as it runs in place, as if it had been proved, but for those of `UNPROVED`."""
    return replace(native_of(name, loop_of(name)), is_proved=name not in UNPROVED)


def compile_probe(folder: Path) -> Path:
    """The program, which runs in the guest and here."""
    path = folder / "probe"
    loops = [
        f'-D{name}=".byte {", ".join(f"0x{byte:02x}" for byte in bytes.fromhex("".join(codes)))};"'
        for name, codes in {**CODES, "HOP_TWIN": HOP_TWIN}.items()
        if name != "OVER"
    ]
    source = Path(__file__).with_name("tcg_plugin") / "learned_probe.c"
    subprocess.run(["cc", "-O2", "-static", "-pthread", "-Wall", *loops, "-o", path, source], check=True)
    return path


def with_probe(image, probe: Path) -> bytes:
    """The image's first files, and the program."""
    tree = Tree()
    tree.add_file("probe", probe.read_bytes(), 0o755)
    # The kernel unpacks one archive after the other.
    return image.initrd.read_bytes() + compress(tree.to_cpio())


def prepare(machine) -> None:
    """Swap, and all loops compared often enough to run in place."""
    machine.exec(SWAP)
    machine.exec("/probe usual")
    machine.exec("/probe waiting")


def rows(machine):
    return {loop.name: loop for loop in machine.client.learned()}


@contextmanager
def wanted(machine, mode: Learned) -> Iterator[None]:
    """While inside, what is done with learned loops."""
    control = TraceControl(Path(machine.client.connection.trace_path))
    try:
        control.block.learned_wanted, before = mode, control.block.learned_wanted
        yield
    finally:
        control.block.learned_wanted = before
        control.close()


def here(probe, case):
    return subprocess.run([probe, case], check=True, capture_output=True, text=True).stdout


def check(case, machine, probe) -> None:
    """That a situation is met, and the guest's answer is the host's; `AssertionError` or an error of the machine where it is not."""
    before, said, (loop, reason) = rows(machine), here(probe, case), CASES[case]
    for _ in range(MOST_RUNS):
        with wanted(machine, Learned.SHADOW) if case in COMPARED else nullcontext():
            assert machine.exec(f"/probe {case}").decode() == said
        after = rows(machine)
        assert not any(after[name].mismatches for name in SOUND), after
        is_met = not reason or after[loop].refusals.get(reason, 0) > before[loop].refusals.get(reason, 0)
        if case in COMPARED:
            is_met = after[loop].abandoned > before[loop].abandoned
        if is_met:
            break
    assert is_met, "the situation was met"
    assert all(after[name].rounds == before[name].rounds for name in UNPROVED), "what is not proved stays in shadow"
    assert after[loop].rounds > before[loop].rounds or case in (*REFUSED, *COMPARED)
    rounds, slices, visits = (
        getattr(after[loop], name) - getattr(before[loop], name) for name in ("rounds", "slices", "visits")
    )
    assert rounds <= MOST_ROUNDS * slices, "the guest gets its interrupts"
    assert visits <= MOST_VISITS.get(case, visits), "where looking did not pay it is done seldom"
