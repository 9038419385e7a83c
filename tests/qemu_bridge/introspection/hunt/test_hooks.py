"""Functions of the kernel that begin with a jump elsewhere, and constants that lead out of it, in a copy of a guest's RAM."""

from __future__ import annotations

import pytest

from qemu_bridge.introspection.hunt.code import KernelCode
from qemu_bridge.introspection.hunt.hooks import far_target
from qemu_bridge.wire.records import FindingKind

HERE, THERE = 0xFFFFFFFF81000000, 0xFFFFFFFFC0201234
NOBODYS = 0xFFFFC90000001234
_FAR = (THERE - HERE - 5).to_bytes(4, "little")
JUMPS = {
    "jmp rel32": (b"\xe9" + _FAR, THERE, False),
    "call rel32": (b"\xe8" + _FAR, THERE, False),
    "jmp [rip+2]": (b"\xff\x25\x02\0\0\0", HERE + 8, True),
    "push; ret": (b"\x68" + (THERE & 0xFFFFFFFF).to_bytes(4, "little") + b"\xc3", THERE, False),
    "mov rax; jmp rax": (b"\x48\xb8" + NOBODYS.to_bytes(8, "little") + b"\xff\xe0", NOBODYS, False),
    "mov r11; jmp r11": (b"\x49\xbb" + NOBODYS.to_bytes(8, "little") + b"\x41\xff\xe3", NOBODYS, False),
    "mov rax; push rax; ret": (b"\x48\xb8" + NOBODYS.to_bytes(8, "little") + b"\x50\xc3", NOBODYS, False),
}
OTHERS = {
    "nop": b"\x0f\x1f\x44\0\0",
    "mov rax; jmp rdx": b"\x48\xb8" + bytes(8) + b"\xff\xe2",
    "push; nop": b"\x68\0\0\0\0\x90",
    "mov rax, rdi": b"\x48\x89\xf8",
}


def marked(test):
    """A test of guests."""
    return pytest.mark.guest(pytest.mark.every_kernel(test))


@pytest.mark.parametrize("name", JUMPS)
def test_a_jump_is_recognised(name):
    code, target, is_pointer = JUMPS[name]
    assert far_target(code.ljust(16, b"\x90"), HERE) == (target, is_pointer)


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_jump_is_not(name):
    assert far_target(OTHERS[name].ljust(16, b"\x90"), HERE) is None


def relative(opcode, place, target):
    return opcode + ((target - place - 5) & 0xFFFFFFFF).to_bytes(4, "little")


def entry(edited, function):
    """Where a function begins behind the mark of an indirect call's target: with the place of ftrace's call."""
    start = edited.space.address_of(function)
    return start + edited.space.read(start, 16).index(b"\x0f\x1f\x44\0\0")


@marked
@pytest.mark.usefixtures("with_modules")
@pytest.mark.parametrize("behind", [0, 5])
def test_a_function_that_jumps_into_a_module_is_found(edited, behind):
    place, target = entry(edited, "vfs_read") + behind, edited.some_module_code()
    edited.write(place, relative(b"\xe9", place, target))
    finding = edited.finding()
    assert (finding.kind, finding.subject, finding.address) == (FindingKind.FUNCTION_HOOK, "vfs_read", place)
    assert f"leads to {target:#x}: " in finding.evidence[0] and finding.evidence[0].endswith("]")


@marked
@pytest.mark.parametrize("name", ["mov rax; jmp rax", "mov r11; jmp r11", "mov rax; push rax; ret"])
def test_a_function_that_jumps_to_nobodys_memory_is_found(edited, name):
    place = entry(edited, "vfs_read")
    edited.write(place, JUMPS[name][0])
    finding = edited.finding()
    assert (finding.kind, finding.address) == (FindingKind.FUNCTION_HOOK, place)
    assert f"leads to {NOBODYS:#x}: in no module" in finding.evidence[0]


@marked
def test_a_jump_to_what_the_kernel_made_is_no_finding(edited):
    made = KernelCode(edited.questions._context).made
    if not made:
        pytest.skip("this kernel has made no code yet")
    place = entry(edited, "vfs_read")
    edited.write(place, relative(b"\xe8", place, made[0][0] + 64))
    assert not edited.hunt().value


@marked
@pytest.mark.usefixtures("with_modules")
def test_a_static_call_may_lead_into_a_module(edited):
    space = edited.space
    place = space.address_of("__SCT__might_resched") or space.address_of("__SCT__cond_resched")
    if not place:
        pytest.skip("this kernel has no such static call")
    edited.write(place, relative(b"\xe9", place, edited.some_module_code()))
    assert not edited.hunt().value
    edited.write(place, relative(b"\xe9", place, NOBODYS))
    assert edited.finding().kind is FindingKind.FUNCTION_HOOK


@marked
@pytest.mark.usefixtures("with_modules")
@pytest.mark.parametrize(
    ("table", "type_name", "field"),
    [("proc_root_operations", "file_operations", "iterate_shared"), ("tcp4_seq_ops", "seq_operations", "show")],
)
def test_a_redirected_operation_is_found(edited, table, type_name, field):
    place = edited.space.symbol(table, type_name).at(field)
    target = edited.some_module_code()
    edited.word(place, target)
    finding = edited.finding()
    assert (finding.kind, finding.subject, finding.address) == (FindingKind.CONSTANT_HOOK, table, place)
    assert f"holds {target:#x}: " in finding.evidence[0]


@marked
@pytest.mark.usefixtures("with_modules")
def test_where_memory_for_code_begins_is_no_hook(edited):
    place = edited.space.address_of("execmem_info")
    if not place:
        pytest.skip("this kernel does not note where memory for code is: it does from 6.10 on")
    edited.word(place, edited.some_module_code())
    assert not edited.hunt().value


TRACE = (
    "mkdir -p /tmp/tracing; mount -t tracefs t /tmp/tracing; cd /tmp/tracing; echo vfs_read >set_ftrace_filter;"
    " echo function >current_tracer; echo p:q vfs_write >kprobe_events; echo 1 >events/kprobes/q/enable"
)
UNTRACE = (
    "cd /tmp/tracing; echo 0 >events/kprobes/q/enable; echo >kprobe_events; echo nop >current_tracer;"
    " echo >set_ftrace_filter; cd /; umount /tmp/tracing; rmdir /tmp/tracing"
)


@pytest.mark.guest
def test_what_the_kernels_own_tracers_patch_is_no_finding(machine):
    machine.exec(TRACE)
    try:
        space = machine.context.objects
        space.forget()
        places = [space.address_of(name) for name in ("vfs_read", "vfs_write")]
        starts = [far_target(space.read(place, 16), place) for place in places]
        answer = machine.client.hunt()
    finally:
        machine.exec(UNTRACE)
    # Both begin with a call out of the image meanwhile: to trampolines that ftrace made.
    assert all(start and not KernelCode(machine.context).is_in_image(start[0]) for start in starts), starts
    assert answer.value == () and answer.is_complete
