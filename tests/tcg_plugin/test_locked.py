"""Every instruction that reads, changes and writes memory, recorded on several vCPUs, against the processor itself.

With several vCPUs QEMU emulates the locked ones by functions of its own, which report other values than the processor
loads and stores: of a failed compare-and-exchange the new value, of an addition the summand.
"""

import itertools
import subprocess

import numpy as np
import pytest
from guest_programs import install
from native_steps import single_step
from support import booted, find_sound, recording

from qemu_bridge.trace.file.reader import TraceReader

pytestmark = pytest.mark.guest

SIZES = {"b": 1, "w": 2, "l": 4, "q": 8}
REGISTER = {"b": "%cl", "w": "%cx", "l": "%ecx", "q": "%rcx"}
ROUNDS = 3
WIDE = "0x1122334455667788"


def forms():
    """Assembly of each form, with rbx at 16 bytes of memory whose content differs from round to round."""
    for lock, size in itertools.product(("", "lock "), SIZES):
        register, letter = REGISTER[size], size
        for name in ("add", "or", "adc", "sbb", "and", "sub", "xor"):
            yield f"{lock}{name}{letter} $0x5b, (%rbx)"
            yield f"{lock}{name}{letter} {register}, 3(%rbx)"
        for name in ("inc", "dec", "neg", "not"):
            yield f"{lock}{name}{letter} (%rbx)"
        yield f"{lock}xadd{letter} {register}, (%rbx)"
        yield f"{lock}xchg{letter} {register}, (%rbx)"
        # rax is what is there, or nearly.
        full = {"b": "%al", "w": "%ax", "l": "%eax", "q": "%rax"}[size]
        for change in ("", f"xor{letter} $1, {full}; "):
            yield f"notq (%rbx); mov{letter} (%rbx), {full}; {change}{lock}cmpxchg{letter} {register}, (%rbx)"
        if size != "b":
            for name in ("bts", "btr", "btc"):
                yield f"{lock}{name}{letter} $5, (%rbx)"
                yield f"movq $9, %rcx; {lock}{name}{letter} {register}, (%rbx)"
        # Operands in the upper half of their register: what is above them must not leak in.
        if size == "b":
            yield f"{lock}addb %ch, (%rbx)"
            yield f"{lock}xaddb %ch, (%rbx)"
            yield f"notq (%rbx); movb (%rbx), %al; {lock}cmpxchgb %dh, (%rbx)"
    for lock in ("", "lock "):
        for low, high, name in (("%eax", "%edx", "cmpxchg8b"), ("%rax", "%rdx", "cmpxchg16b")):
            step = 4 if name == "cmpxchg8b" else 8
            for change in ("", "xor $1, %rax; ", "xor $1, %rdx; "):
                load = f"mov (%rbp), {low}; mov {step}(%rbp), {high}; {change}"
                # rbx is an operand of these, so rbp has the address.
                yield f"notq (%rbx); notq 8(%rbx); mov %rbx, %rbp; {load}mov ${WIDE}, %rbx; {lock}{name} (%rbp); mov %rbp, %rbx"


def assembly():
    body = "\n".join(
        f"movabs $0x8f1e2d3c4b5a6978, %rcx; movabs $0x1234567890abcdef, %rdx; add %r15, %rcx; {form}"
        for form in forms()
    )
    return f"""
    .globl _start
    .text
_start:
    # sched_setaffinity(0, 8, mask): one vCPU, so that its stream has all of it; the last one the guest has.
    mov $203, %eax; xor %edi, %edi; mov $8, %esi; lea mask(%rip), %rdx; syscall
    lea place(%rip), %rbx
    movb $1, 24(%rbx)           # the page is there, so no instruction below begins twice
    mov ${ROUNDS}, %r15d
again:
    {body}
    dec %r15d
    jnz again
    mov $60, %eax; xor %edi, %edi; syscall
    .data
    .balign 64
mask: .quad 1
    .balign 4096
place: .quad 0xfedcba9876543210, 0x7fffffffffffffff, 0, 0
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    folder = tmp_path_factory.mktemp("atomics")
    (folder / "program.S").write_text(assembly())
    subprocess.run(
        [
            "gcc",
            "-static",
            "-nostdlib",
            "-no-pie",
            "-Wl,--build-id=none",
            "-o",
            folder / "program",
            folder / "program.S",
        ],
        check=True,
    )
    return folder / "program"


@pytest.fixture(scope="module")
def native(program):
    """What the processor does, without the loads in between: those that write, or would."""
    return [step for step in single_step(program) if not step.text.startswith("mov")]


@pytest.mark.parametrize("vcpus", [4, pytest.param(1, marks=pytest.mark.long)])
def test_each_form_loads_and_stores_what_the_processor_does(vcpus, image, program, native, tmp_path):
    path = tmp_path / "atomics.gbt"
    with booted("atomics", image, smp=vcpus) as machine:
        install(machine, program.read_bytes(), "/tmp/atomics")
        with recording(machine, path, "--values"):
            machine.exec("/tmp/atomics")
    find_sound(path)
    texts = {step.address: step.text for step in native}
    found = [list(group) for _, group in itertools.groupby(accesses(path, set(texts)), key=lambda access: access[0])]
    assert len(native) > 600
    wrong = {}
    for made, step in zip(found, native, strict=True):
        size, wanted = len(step.before), (step.before, step.after)
        did = [(step.address, store, step.at, size, int.from_bytes(wanted[store], "little")) for store in (False, True)]
        if vcpus > 1 and step.text.startswith(("lock and", "lock or")) and made and made[0][4] is None:
            did[0] = (*did[0][:4], None)
        if made != did:
            wrong[step.text] = ([access[1:] for access in made], [access[1:] for access in did])
    assert not wrong


def accesses(path, instructions):
    """Of the user-mode instructions at these addresses, each access: (instruction, store, address, bytes, value)."""
    with TraceReader(path) as trace:
        for vcpu in range(trace.vcpus):
            for frame in trace.frames():
                blocks, made = frame.blocks(vcpu), frame.memory(vcpu)
                user = (blocks.table.rings[blocks.numbers] == 3)[made.blocks - np.uint64(blocks.first_block)]
                for at in np.flatnonzero(user).tolist():
                    block = int(made.blocks[at]) - blocks.first_block
                    number, index = int(blocks.numbers[block]), int(made.instructions[at])
                    address = int(blocks.addresses[block]) + int(blocks.table.lengths(number)[:index].sum())
                    if address in instructions:
                        value = int(made.values[at, 0]) | int(made.values[at, 1]) << 64
                        yield (
                            address,
                            bool(made.stores[at]),
                            int(made.addresses[at]),
                            int(made.sizes[at]),
                            value if made.has_values[at] else None,
                        )
