"""What is recorded is what was executed: against QEMU's own log, and against a program whose every access is known."""

import base64
import itertools
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from support import booted, wait_until
from trace_consumer import Consumer, begun_instructions, items, u64

from qemu_bridge.client import Client
from qemu_bridge.errors import MachineError, UsageError
from qemu_bridge.machine.config import MachineConfig
from qemu_bridge.machine.launch import launch
from qemu_bridge.trace.recording.control import TraceControl
from qemu_bridge.wire.trace_records import ArmOptions, capability_names
from tcg_plugin import abi, layout
from tcg_plugin.layout import Capability, Event, Feature, Scope, State, Stop

pytestmark = pytest.mark.guest

COUNT = 1000
GOLDEN = 0x9E3779B97F4A7C15
TEXT, BUFFER = 0x401000, 0x600000
LOOP = TEXT + 19
"""Behind three instructions: the loop of COUNT rounds. It is entered from above, so its head begins a block in all but the first."""


@pytest.fixture(scope="module")
def machine(image, each_qemu):
    with booted("trace", image) as found:
        yield found


def hmp(machine, line):
    return machine.client.qmp("human-monitor-command", {"command-line": line})


def addresses(words, blocks):
    """Linear address of every block that began, and of every instruction that QEMU ran alone for a device."""
    pages, found = {}, []
    for kind, *rest in items(words):
        if kind == "event" and rest[0] is Event.CODE_PAGE:
            pages[rest[2][0]] = u64(rest[2], 1) << 12
        elif kind == "event" and rest[0] is Event.IO_DONE:
            found.append(u64(rest[2]) & 0xFFF)
        elif kind == "block":
            block = blocks[rest[0]]
            moves = block.ring == 3 and block.offset != layout.NO_OFFSET
            found.append(pages[block.offset >> 12] | block.offset & 0xFFF if moves else block.address)
    return found


def logged(path):
    """Address of every block that QEMU says it entered; one that it left at once for an interrupt is taken back."""
    found = []
    for line in path.read_text().splitlines():
        if match := re.match(r"Trace \d+: 0x[0-9a-f]+ \[[0-9a-f]+/([0-9a-f]+)/", line):
            found.append(int(match[1], 16))
        elif line.startswith("Stopped execution of TB chain before"):
            found.pop()
    return found


def test_what_plugins_may_do_is_published_and_what_they_may_not_is_refused_with_the_way_out(machine, control):
    status = machine.client.trace_status()
    able = abi.capabilities(status.plugin_api)
    assert status.capabilities == capability_names(able) and Capability.READ_REGISTERS in able
    control.require(able, "it")
    for missing in Capability(15) & ~able:
        with pytest.raises(
            MachineError, match=r"it is not possible .* cannot (write|set) .*; start it on QEMU 1\d\.\d or"
        ):
            control.require(missing, "it")


@pytest.mark.long_on_qemu11
def test_a_window_is_what_qemus_own_log_says(machine, control, tmp_path):
    log = tmp_path / "exec.log"
    machine.client.pause()
    hmp(machine, f"logfile {log}")
    hmp(machine, "log exec,nochain")
    with Consumer(control) as consumer:
        machine.client.trace_arm(ArmOptions())
        machine.client.resume()
        machine.exec("true")
        machine.client.pause()
        hmp(machine, "log none")
        machine.client.trace_disarm()
        machine.client.resume()
        wait_until(lambda: control.is_acknowledged)
    hmp(machine, "logfile /dev/null")
    ours, theirs = addresses(consumer.stream(), consumer.blocks()), logged(log)
    assert len(theirs) > 50_000
    # Of an instruction that ran alone for a device only the place in its page is told.
    different = [i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b and a != b & 0xFFF]
    assert not different, [(i, hex(ours[i]), hex(theirs[i])) for i in different[:5]]
    assert len(ours) == len(theirs)


@pytest.mark.long
def test_a_boot_from_the_first_instruction_is_exact_with_icount(image):
    options = ArmOptions(features=Feature.BLOCKS | Feature.EVENTS | Feature.VERIFY, limit_instructions=15_000_000)
    config = MachineConfig(
        "from-boot",
        kernel=image.kernel,
        initrd=image.initrd,
        append=image.command_line,
        qemu_args=("-icount", "shift=0,sleep=off"),
    )
    launch(config, trace=options)
    with Client.connect("from-boot") as client:
        control = TraceControl(Path(client.connection.trace_path))
        with Consumer(control) as consumer:
            wait_until(lambda: control.state is State.DISARMED)
        with pytest.raises(MachineError, match="before it starts"):
            client.trace_arm(ArmOptions())
        client.stop()
    words, blocks = consumer.stream(), consumer.blocks()
    first, *_, last = items(words)
    kinds = [item[1] for item in itertools.islice(items(words), 3) if item[0] == "event"]
    assert kinds == [Event.WINDOW_START, Event.RESET] and addresses(words, blocks)[0] == 0xFFFFFFF0
    assert (last[1], last[2]) == (Event.WINDOW_STOP, Stop.LIMIT) and u64(first[3], 4) == 0
    assert begun_instructions(words, blocks) == u64(last[3], 2) > 14_000_000


@pytest.fixture(scope="module")
def probe(tmp_path_factory):
    """The known program, for the guest."""
    if shutil.which("cc") is None:
        pytest.skip("no C compiler")
    out = tmp_path_factory.mktemp("probe") / "probe"
    command = [
        "cc",
        "-nostdlib",
        "-static",
        "-no-pie",
        f"-Wl,--section-start=.code={TEXT:#x}",
        f"-Wl,-Tbss={BUFFER:#x}",
    ]
    subprocess.run(
        [*command, "-Wl,--build-id=none", f"-DCOUNT={COUNT}", "-o", out, Path(__file__).with_name("probe.S")],
        check=True,
        capture_output=True,
    )
    subprocess.run(["strip", out], check=True)
    return out.read_bytes()


def upload(machine, probe):
    """Put the known program into the guest."""
    text = base64.b64encode(probe).decode()
    machine.exec("rm -f /tmp/probe.64")
    for at in range(0, len(text), 1000):
        machine.exec(f"echo {text[at : at + 1000]} >> /tmp/probe.64")
    machine.exec("base64 -d /tmp/probe.64 > /tmp/probe; chmod +x /tmp/probe")


def run_probe(machine, control, probe, features, before=None):
    """The stream of the known program, and the blocks; with `before`, what the guest executes first, of all user code."""
    upload(machine, probe)
    with Consumer(control) as consumer:
        ranges = [] if before else [(TEXT, TEXT + 0x1000)]
        machine.client.trace_arm(ArmOptions(features=features, scope=Scope.USER, ranges=ranges))
        if before:
            machine.exec(before)
        machine.exec("/tmp/probe")
        machine.client.trace_disarm()
    return consumer.stream(), consumer.blocks()


def accesses(words):
    """(stores, bytes, address, value or None) of what the known program did to its buffer."""
    buffer = range(BUFFER, BUFFER + 8 * COUNT)
    return [
        (bool(word >> 29 & 1), 1 << (word >> 25 & 7), address, value)
        for kind, word, address, value in (item for item in items(words) if item[0] == "memory")
        if address in buffer
    ]


def wanted_accesses(valued):
    first = [GOLDEN * i % 2**64 for i in range(4)]
    wide = first[2] | first[3] << 64
    wanted = [(store, 8, BUFFER + 8 * i, GOLDEN * i % 2**64) for i in range(COUNT) for store in (True, False)]
    wanted += [
        (True, 1, BUFFER, 0x11),
        (True, 2, BUFFER + 2, 0x2222),
        (True, 4, BUFFER + 4, 0x44444444),
        (False, 16, BUFFER + 16, wide),
        (True, 16, BUFFER + 32, wide),
    ]
    return [(*access, value if valued else None) for *access, value in wanted]


@pytest.mark.parametrize("valued", [False, True], ids=["addresses", "values"])
def test_loads_and_stores_of_a_known_program_are_what_it_did(valued, machine, control, probe):
    features = Feature.BLOCKS | Feature.EVENTS | (Feature.VALUES if valued else Feature.MEMORY)
    words, _ = run_probe(machine, control, probe, features)
    assert accesses(words) == wanted_accesses(valued)


def test_values_that_are_read_in_place_are_what_qemu_says(machine, control, probe):
    """The plugin finds out where QEMU keeps values from what runs first, and reads those of the program from there."""
    features = Feature.BLOCKS | Feature.EVENTS | Feature.VALUES
    words, _ = run_probe(machine, control, probe, features, "echo warm | md5sum")
    assert 0 < control.vcpus[0].value_distance <= 512
    assert accesses(words) == wanted_accesses(True)


def test_code_that_changes_itself_is_recorded_as_it_was_when_it_ran(machine, control, probe):
    words, blocks = run_probe(machine, control, probe, Feature.BLOCKS | Feature.EVENTS)
    loaded = []
    for kind, *rest in items(words):
        if kind == "block":
            block = blocks[rest[0]]
            # mov $imm32, %eax leads each block that starts at `patched`.
            if block.code[0] == 0xB8 and block.count > 1 and block.code[-2:-1] == b"\x75":
                loaded.append(int.from_bytes(block.code[1:5], "little"))
    assert loaded == list(range(100))


def run_loops(machine, control, features, gate, head=LOOP):
    """(passes, samples, registers at the last sample) of the known program's loop."""
    machine.client.trace_arm(ArmOptions(features=features, loop_head=head, loop_gate=gate))
    machine.exec("/tmp/probe")
    machine.client.trace_disarm()
    page = control.vcpus[0]
    return page.loop_passes, page.loop_samples, dict(zip(layout.REGISTERS, page.loop_registers, strict=False))


def test_passes_of_a_loop_are_counted_and_its_registers_are_read_at_the_gate(machine, control, probe):
    upload(machine, probe)
    passes, samples, registers = run_loops(machine, control, Feature.LOOPS, 10)
    assert (passes, samples) == (COUNT - 1, (COUNT - 1) // 10)
    # The tenth pass but nine stands before the round of 990; the last round's values are still there.
    assert (registers["rcx"], registers["rdx"], registers["rdi"]) == (990, GOLDEN, BUFFER)
    assert registers["rax"] == registers["rbx"] == GOLDEN * 989 % 2**64
    assert run_loops(machine, control, Feature.LOOPS, COUNT)[:2] == (COUNT - 1, 0), "the gate is not reached"
    assert run_loops(machine, control, Feature.LOOPS, 1)[:2] == (COUNT - 1, COUNT - 1)
    assert run_loops(machine, control, Feature.LOOPS, 1, LOOP + 3)[:2] == (0, 0), "no block begins there"


def test_a_loops_head_is_not_hooked_unless_that_is_asked_for(machine, control, probe):
    upload(machine, probe)
    before = run_loops(machine, control, Feature.LOOPS, 7)
    assert run_loops(machine, control, Feature.HEAT, 1) == before


def test_a_gate_of_no_passes_is_refused(machine):
    with pytest.raises(UsageError, match="gate of 0 passes"):
        machine.client.trace_arm(ArmOptions(features=Feature.LOOPS, loop_head=LOOP, loop_gate=0))
