"""What ``glassbox trace NAME`` promises for its flags, on a real guest: losses, registers, triggers, filters, rings, full disks.

Oracles that nobody here wrote: QEMU's counter of instructions, and its log of the processor's state at each block.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

import msgspec
import numpy as np
import pytest
from guest_programs import install, make_elf
from support import booted, find_sound, glassbox, recording, wait_until

from qemu_bridge.client import Client
from qemu_bridge.errors import GlassBoxError
from qemu_bridge.trace.analysis.check import check_trace
from qemu_bridge.trace.analysis.info import read_info
from qemu_bridge.trace.calls.matching import iter_calls
from qemu_bridge.trace.calls.system_call import Outcome
from qemu_bridge.trace.file.reader import TraceReader
from qemu_bridge.trace.recording.options import Privilege, RecordOptions
from qemu_bridge.trace.recording.record import RecordEnd, record_trace
from qemu_bridge.wire.trace_records import RecordResult
from tcg_plugin.layout import REGISTERS, Event, Gate

pytestmark = pytest.mark.guest

LOAD = "i=0; while [ $i -lt 4000 ]; do i=$((i+1)); done; ls -l / >/dev/null; mkdir /tmp/load$n; rmdir /tmp/load$n"
CPUS = (2, pytest.param(4, marks=pytest.mark.long))


@pytest.fixture(scope="module", params=CPUS, ids=("2cpus", "4cpus"))
def machine(request, image):
    with booted(f"record-{request.param}", image, smp=request.param) as found:
        yield found


@contextlib.contextmanager
def load(machine):
    """The guest works all the time, on every vCPU."""
    done = threading.Event()
    everywhere = f"for n in 1 2 3 4; do ({LOAD}) & done; wait"

    def work():
        with Client.connect(machine.name) as client:
            while not done.is_set():
                client.exec(everywhere, 60.0)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


@pytest.fixture
def busy(machine):
    with load(machine):
        yield machine


def record(machine, path, *words):
    answer = glassbox("trace", machine.name, "-o", str(path), "--json", *words)
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)["progress"]


def counted(trace):
    """Instructions that QEMU counted between the window's two edges, on all vCPUs."""
    total = 0
    for vcpu in range(trace.vcpus):
        edges = {}
        for events in trace.events(vcpu):
            for kind, word in ((Event.WINDOW_START, 4), (Event.WINDOW_STOP, 2)):
                for index in events.where(kind).tolist():
                    edges[kind] = events.value(index, word)
        total += edges[Event.WINDOW_STOP] - edges[Event.WINDOW_START]
    return total


def has_a_frame(path):
    """Whether a file that is being written can be read and has a complete frame."""
    try:
        with TraceReader(path) as trace:
            return len(trace) > 0
    except (OSError, GlassBoxError):
        return False


def addresses(trace):
    found = [blocks.addresses for vcpu in range(trace.vcpus) for blocks in trace.blocks(vcpu)]
    return np.concatenate(found)


# --- losses -------------------------------------------------------------------------------------------------------


def test_what_a_lossy_trace_recorded_and_what_it_lost_is_what_qemu_counted(busy, tmp_path):
    path = tmp_path / "lossy.gbt"
    done = record(busy, path, "--lossy", "--ring", "4K", "--verify", "--insns", "5000000")
    report = find_sound(path)
    assert report["gaps"] and done["waits"] == 0 and report["windows"] == report["closed_windows"]
    assert report["lost_words"] == done["lost_words"] and report["lost_chunks"] == done["lost_chunks"]
    with TraceReader(path) as trace:
        begun = report["instructions"] - report["swallowed_instructions"]
        assert begun + report["lost_instructions"] == counted(trace) > 100_000
        # Whole chunks: no gap is smaller than one, but for the one at the window's end.
        assert report["swallowed_instructions"] < 4 * report["gaps"]
    info = json.loads(glassbox("trace", "info", str(path), "--json").stdout)
    assert sum(gap["words"] for gap in info["gaps"]) == report["lost_words"] and len(info["gaps"]) == report["gaps"]
    assert re.search(r"gap: \d+ words in \d+ chunks were dropped", glassbox("trace", "check", str(path)).stdout)
    assert f"gaps                     {report['gaps']}, of" in glassbox("trace", "info", str(path)).stdout


def held_up(machine):
    """Of each vCPU, how often it waited at its full ring, and what it dropped there."""
    return [(ring.waits, ring.lost_words) for ring in machine.client.trace_status().vcpus]


def test_a_reader_that_stands_still_makes_a_lossy_trace_drop_and_a_lossless_one_wait(busy, tmp_path):
    for lossy in (True, False):
        path = tmp_path / f"{lossy}.gbt"
        flags = ["--verify", "--ring", "64K", *(["--lossy"] if lossy else [])]
        with recording(busy, path, *flags) as process:
            process.send_signal(signal.SIGSTOP)
            # A vCPU is counted as it begins to wait: it waits for as long as this test sleeps then, at least.
            before = held_up(busy)
            wait_until(lambda found=before: held_up(busy) != found)
            time.sleep(0.5)
            process.send_signal(signal.SIGCONT)
            time.sleep(0.3)
        report, summary = (
            find_sound(path),
            json.loads(glassbox("trace", "info", str(path), "--json").stdout)["summary"],
        )
        assert bool(report["gaps"]) is lossy and bool(summary["waits"]) is not lossy
        assert lossy or summary["wait_s"] > 0.3
        with TraceReader(path) as trace:
            lost = report["lost_instructions"] - report["swallowed_instructions"]
            assert report["instructions"] + lost == counted(trace)


# --- registers ----------------------------------------------------------------------------------------------------


def logged_registers(path, address):
    """Registers at each block that began at `address`, by QEMU's own log of the processor's state."""
    found = []
    assert path.stat().st_size < 1 << 20
    for state in path.read_text().split("RAX=")[1:]:
        values = {
            name.lower(): int(value, 16) for name, value in re.findall(r"\b(R\w\w?) ?=([0-9a-f]{16})", "RAX=" + state)
        }
        bases = {
            name.lower(): int(base, 16) for name, base in re.findall(r"\b([FG]S) =[0-9a-f]{4} ([0-9a-f]{16})", state)
        }
        if values.get("rip") == address:
            found.append([*(values[name] for name in REGISTERS[:16]), bases["fs"], bases["gs"]])
    return found


@pytest.fixture
def logging_machine(image):
    """A machine that logs the processor's state at one address, which a first boot of the same kernel tells."""
    with booted("record-where", image) as machine:
        place = int(machine.client.sym("do_mkdirat")[0].address)
    with booted("record-registers", image, qemu_args=("-dfilter", f"{place:#x}+1")) as machine:
        if int(machine.client.sym("do_mkdirat")[0].address) != place:
            pytest.skip("this kernel lies elsewhere at each boot")
        yield machine


def test_registers_at_a_block_are_those_of_qemus_own_log(logging_machine, tmp_path):
    machine = logging_machine

    def hmp(line):
        machine.client.qmp("human-monitor-command", {"command-line": line})

    path, log = tmp_path / "registers.gbt", tmp_path / "cpu.log"
    place = int(machine.client.sym("do_mkdirat")[0].address)
    with recording(machine, path, "--regs", "sym:do_mkdirat"):
        with machine.paused():
            hmp(f"logfile {log}")
            hmp("log exec,cpu,nochain")
        machine.exec("mkdir /tmp/r1 /tmp/r2 /tmp/r3; rmdir /tmp/r1 /tmp/r2 /tmp/r3")
        with machine.paused():
            hmp("log none")
            hmp("logfile /dev/null")
    find_sound(path)
    with TraceReader(path) as trace:
        sets = [registers for vcpu in range(trace.vcpus) for registers in trace.registers(vcpu) if len(registers)]
        found = np.concatenate([registers.values for registers in sets])
        assert all((registers.addresses == place).all() for registers in sets)
        assert sets[0].column("rdi").dtype == np.uint64 and found.shape == (3, len(REGISTERS))
        vcpu = next(vcpu for vcpu in range(trace.vcpus) for registers in trace.registers(vcpu) if len(registers))
        first = next(registers for registers in trace.registers(vcpu) if len(registers)).blocks[0]
        at = sum(int(b.instructions[: max(0, int(first) - b.first_block)].sum()) for b in trace.blocks(vcpu))
    theirs = logged_registers(log, place)
    # QEMU logs a block again that it enters, leaves at its head for a request to exit, and enters once more.
    assert sorted(map(tuple, found.tolist())) == sorted(set(map(tuple, theirs)))
    shown = glassbox("trace", "show", str(path), "--vcpu", str(vcpu), "--at", str(at), "--count", "3").stdout
    assert f"rdi={found[0][REGISTERS.index('rdi')]:#x}" in shown and "rax=" in shown


# --- triggers and limits ------------------------------------------------------------------------------------------


def test_a_window_opens_at_the_nth_time_that_a_symbol_is_reached(machine, tmp_path):
    path = tmp_path / "third.gbt"
    place = int(machine.client.sym("do_mkdirat")[0].address)
    with recording(machine, path, "--start-at", "sym:do_mkdirat:3", "--verify"):
        machine.exec("mkdir /tmp/t1 /tmp/t2")
        machine.exec("mkdir /tmp/t3; mkdir /tmp/t4 /tmp/t5")
        machine.exec("rmdir /tmp/t?")
    assert find_sound(path)["verified_windows"] == machine.client.trace_status().vcpus.__len__()
    with TraceReader(path) as trace:
        assert (addresses(trace) == place).sum() == 2, "the third is where it began"


def test_a_window_opens_after_so_many_instructions_and_closes_after_so_many_or_after_a_time(machine, tmp_path):
    path = tmp_path / "after.gbt"
    with recording(machine, path, "--after", "40000000", "--insns", "500000"):
        time.sleep(0.5)
        assert machine.client.trace_status().ids >= 0 and path.stat().st_size < 4096, "an idle guest does less"
        with load(machine):
            wait_until(lambda: machine.client.trace_status().state == "disarmed")
    find_sound(path)
    with TraceReader(path) as trace:
        executed = [sum(int(blocks.instructions.sum()) for blocks in trace.blocks(v)) for v in range(trace.vcpus)]
        # The first vCPU to reach the limit stops at once; another runs on until the host lets the first one stop it.
        assert min((many for many in executed if many >= 300_000), default=0) in range(300_000, 520_001), executed
    began = time.monotonic()
    with load(machine):
        record(machine, tmp_path / "time.gbt", "--seconds", "0.7")
    assert 0.7 < time.monotonic() - began < 60
    with TraceReader(tmp_path / "time.gbt") as trace:
        assert 0.6 < trace.info.summary["seconds"] < 5
    find_sound(tmp_path / "time.gbt")


# --- filters ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flag", ["user", "kernel"])
def test_only_one_privilege_is_recorded_and_the_holes_are_told(flag, machine, tmp_path):
    path = tmp_path / f"{flag}.gbt"
    # A command of a known length, not a time: on a slow host little happens in one.
    with recording(machine, path, "--only", flag, "--verify"):
        machine.exec(LOAD)
    report = find_sound(path)
    with TraceReader(path) as trace:
        streams = (blocks for vcpu in range(trace.vcpus) for blocks in trace.blocks(vcpu))
        rings = {int(blocks.table.rings[n]) for blocks in streams for n in np.unique(blocks.numbers)}
        assert rings == {3 if flag == "user" else 0}
        recorded, left_out = report["instructions"], report["left_out_instructions"]
        assert recorded <= counted(trace) <= recorded + left_out and left_out > 10_000
    assert report["filter_holes"] > 10


def test_only_blocks_of_a_range_are_recorded_and_the_holes_are_told(busy, tmp_path):
    start = int(busy.client.sym("do_mkdirat")[0].address)
    path = tmp_path / "range.gbt"
    with recording(busy, path, "--range", "sym:do_mkdirat+64", "--range", f"{start + 64:#x}-{start + 96:#x}"):
        busy.exec("mkdir /tmp/ranged; rmdir /tmp/ranged")
    assert find_sound(path)["filter_holes"]
    with TraceReader(path) as trace:
        found = addresses(trace)
        assert len(found) and start in found and (found >= start).all() and (found < start + 96).all()


def test_one_process_is_recorded_exactly_between_the_holes_that_are_told(busy, tmp_path):
    busy.exec("sh -c 'while :; do :; done' & echo $! > /tmp/pid")
    pid = int(busy.exec("cat /tmp/pid"))
    root = next(process.page_table for process in busy.client.ps() if process.pid == pid)
    path = tmp_path / "process.gbt"
    record(busy, path, "--pid", str(pid), "--verify", "--insns", "20000000")
    busy.exec(f"kill {pid}")
    report = find_sound(path)
    assert report["verified_windows"] and report["filter_holes"] and report["instructions"] > 100_000
    with TraceReader(path) as trace:
        roots = np.concatenate([frame.roots(v) for frame in trace.frames() for v in range(trace.vcpus)])
        assert set((roots & ~np.uint64(0x1FFF)).tolist()) == {root & ~0x1FFF}


SPIN = bytes.fromhex("f390ebfc")
"""pause; jmp back to it: a program whose code lies at 0x400078, where no program of the guest's has any."""


SPINNING = 8
"""Processes that spin: each that ends leaves a page that may become a page table again."""


@pytest.fixture
def spinning(machine):
    """Processes that spin, and no other program's code is where theirs is: their numbers."""
    install(machine, make_elf(SPIN), "/tmp/spin")
    machine.exec(f"for n in $(seq {SPINNING}); do setsid /tmp/spin </dev/null >/dev/null 2>&1 & done")
    wait_until(lambda: len(spinning_now(machine)) == SPINNING)
    yield spinning_now(machine)
    machine.exec("killall -9 spin sleep 2>/dev/null; rm /tmp/spin; true")
    # A killed process is there until it runs once more.
    wait_until(lambda: not spinning_now(machine))


def spinning_now(machine):
    return [process.pid for process in machine.client.ps() if process.name == "spin"]


STRANGERS = 160
"""Processes of a guest with little memory at one time: more, and it ends the shell that we talk to."""


def run_strangers_until_one_has(machine, roots):
    """Start processes until one of them has one of the page-table roots of processes that have ended."""
    started = 0

    def is_used_again():
        nonlocal started
        if started % STRANGERS == 0:
            machine.exec("killall sleep 2>/dev/null; true")
        started += 8
        machine.exec("for n in 1 2 3 4 5 6 7 8; do setsid sleep 300 </dev/null >/dev/null 2>&1 & done")
        return not roots.isdisjoint(process.page_table for process in machine.client.ps())

    wait_until(is_used_again, 120.0)


def test_a_page_table_that_is_used_again_records_no_stranger(machine, spinning, tmp_path):
    *ended, other = spinning
    roots = {process.page_table for process in machine.client.ps() if process.pid in ended}
    path = tmp_path / "some.gbt"
    chosen = (word for pid in spinning for word in ("--pid", str(pid)))
    with recording(machine, path, *chosen, "--only", "user"):
        # The one that spins keeps a vCPU for itself, and with it the pages that were freed there, unless it stops.
        machine.exec(f"kill -9 {' '.join(map(str, ended))}; kill -STOP {other}")
        run_strangers_until_one_has(machine, roots)
        machine.exec(
            "for n in 1 2 3 4 5 6 7 8; do /bin/busybox true; done; killall sleep; kill -CONT $(pidof spin); true"
        )
    seen = set()
    with TraceReader(path) as trace:
        for frame in trace.frames():
            for vcpu in range(trace.vcpus):
                seen |= set((frame.blocks(vcpu).addresses >> np.uint64(12)).tolist())
    assert seen == {0x400}
    find_sound(path)


def test_a_recording_of_a_process_ends_when_the_process_does(machine, spinning, tmp_path):
    path = tmp_path / "one.gbt"
    with recording(machine, path, "--pid", str(spinning[0])) as process:
        machine.exec(f"kill -9 {spinning[0]}")
        assert process.wait(60) == 0
    assert machine.client.trace_status().state == "disarmed"
    missing = glassbox("trace", machine.name, "-o", str(tmp_path / "gone.gbt"), "--pid", str(spinning[0]))
    assert missing.returncode == 2 and "there is no process" in missing.stderr and not (tmp_path / "gone.gbt").exists()
    find_sound(path)


CALLS_OF_32_BITS = """
.globl _start
_start: mov $7, %esi
again:  mov $20, %eax   # getpid
        int $0x80
        dec %esi
        jnz again
        mov $1, %eax    # exit
        xor %ebx, %ebx
        int $0x80
"""


def test_system_calls_of_a_32_bit_program_are_recorded_as_such(machine, tmp_path):
    (tmp_path / "calls.S").write_text(CALLS_OF_32_BITS)
    words = [
        "gcc",
        "-m32",
        "-static",
        "-nostdlib",
        "-Wl,--build-id=none",
        "-o",
        tmp_path / "calls",
        tmp_path / "calls.S",
    ]
    subprocess.run(words, check=True)
    install(machine, (tmp_path / "calls").read_bytes(), "/tmp/calls")
    path = tmp_path / "calls.gbt"
    with recording(machine, path):
        machine.exec("/tmp/calls && rm /tmp/calls")
    with TraceReader(path) as trace:
        calls = [call for call in iter_calls(trace) if call.gate is Gate.INT_80]
    assert [(call.name, call.process.name) for call in calls] == [("getpid", "calls")] * 7 + [("exit", "calls")]
    assert {call.result for call in calls[:7]} == {calls[0].process.pid.value} and calls[7].outcome is Outcome.NO_RETURN
    find_sound(path)


def test_a_block_missing_from_a_filtered_trace_is_an_error_and_no_hole(busy, tmp_path, monkeypatch):
    path = tmp_path / "cut.gbt"
    record(busy, path, "--only", "kernel", "--insns", "300000")
    decode = check_trace.__globals__["check_blocks"]

    def lose_one(records, endings, blocks, starts, before, events, room):
        # Far from any event, a block that did not end in a jump to anywhere is gone.
        place = next(
            i
            for i in range(100, len(blocks) - 100)
            if endings["flow"][blocks[i]] <= 1
            and endings["flow"][blocks[i - 1]] <= 1
            and len(set(blocks[i - 1 : i + 2].tolist())) == 3
            and not np.isin(events.at, range(i - 2, i + 3)).any()
        )
        short = np.delete(blocks, place)
        events.at[events.at > place] -= 1
        return decode(records, endings, short, np.delete(starts, place), before, events, room)

    monkeypatch.setitem(check_trace.__globals__, "check_blocks", lose_one)
    with TraceReader(path) as trace:
        assert "jump" in {finding.kind for finding in check_trace(trace).findings}


# --- rings, readers, disks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", ["4K", "100K", "64M"])
def test_a_ring_of_any_size_loses_nothing(size, busy, tmp_path):
    path = tmp_path / f"{size}.gbt"
    done = record(busy, path, "--ring", size, "--verify", "--seconds", "0.5")
    report = find_sound(path)
    assert done["lost_words"] == 0 and report["verified_windows"] == report["windows"] > 1


def test_python_and_the_command_line_record_the_same(busy, tmp_path):
    options = RecordOptions(instructions=300_000, only=Privilege.KERNEL, lossy=True)
    result = record_trace(busy.client, tmp_path / "python.gbt", options)
    words = ("--insns", "300000", "--only", "kernel", "--lossy", "--json")
    answer = glassbox("trace", "record", busy.name, "-o", str(tmp_path / "cli.gbt"), *words)
    done = msgspec.json.decode(answer.stdout, type=RecordResult)
    find_sound(tmp_path / "python.gbt")
    assert result.end is done.end is RecordEnd.INSTRUCTIONS
    python, cli = (read_info(tmp_path / f"{name}.gbt").trace for name in ("python", "cli"))
    # Of the guest the header notes the processes of that moment.
    guests = [about.pop("guest") for about in (python.about, cli.about)]
    assert python.about == cli.about and python.about["machine"] == busy.name
    assert guests[0]["kernel"] == guests[1]["kernel"] and all(guest["processes"] for guest in guests)
    assert (python.instructions, cli.instructions) == (result.progress.instructions, done.progress.instructions)


def test_a_killed_recorder_leaves_a_file_and_the_plugin_says_why_it_disarmed(busy, tmp_path):
    path = tmp_path / "killed.gbt"
    command = [sys.executable, "-m", "qemu_bridge.cli", "trace", busy.name, "-o", str(path), "--values"]
    with subprocess.Popen(command) as process:
        wait_until(lambda: has_a_frame(path))
        process.send_signal(signal.SIGKILL)
    wait_until(lambda: busy.client.trace_status().state == "failed")
    assert "reader of the trace died" in busy.client.trace_status().error
    with TraceReader(path) as trace:
        assert not trace.info.is_complete and len(trace) and check_trace(trace).is_sound
    record(busy, tmp_path / "again.gbt", "--insns", "100000")
    find_sound(tmp_path / "again.gbt")


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_full_disk_ends_the_recording_in_words_and_leaves_whole_frames(busy, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    own = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    mount = f"mount -t tmpfs -o size=24m tmpfs {disk}"
    if shutil.which("unshare") is None or subprocess.run([*own, mount], capture_output=True, check=False).returncode:
        pytest.skip("no file system may be mounted here")
    verb = f"{sys.executable} -m qemu_bridge.cli trace"
    script = (
        f"{mount}; {verb} {busy.name} -o {disk}/full.gbt --values --seconds 600; echo status $?;"
        f" {verb} check {disk}/full.gbt --json; echo status $?"
    )
    answer = subprocess.run([*own, script], capture_output=True, text=True, timeout=800, check=False, env=os.environ)
    ended, report, checked = re.fullmatch(r"status (\d+)\n(.*)status (\d+)\n", answer.stdout, re.DOTALL).groups()
    assert ended != "0" and "No space left" in answer.stderr and "Traceback" not in answer.stderr
    found = json.loads(report)
    assert checked == "0" and not found["count"] and found["frames"] and found["instructions"] > 100_000
    assert busy.client.trace_status().state in ("disarmed", "failed")
    assert busy.exec("echo alive") == b"alive\n"


# --- words --------------------------------------------------------------------------------------------------------


def test_flags_that_make_no_sense_are_refused_in_words(machine, tmp_path):
    for words, says in (
        (["--ring", "1K"], "4K to 64M"),
        (["--ring", "128M"], "4K to 64M"),
        (["--range", "sym:schedule"], "is no range"),
        (["--range", "sym:schedule+0"], "holds nothing"),
        (["--range", "sym:nono+8"], "symbol"),
        (["--start-at", "sym:schedule:0"], "counts from 1"),
        (["--start-at", "sym:schedule", "--after", "5"], "both"),
        (["--after", "-1"], "counts from 0"),
        (["--seconds", "nan"], "counts from 0"),
    ):
        answer = glassbox("trace", machine.name, "-o", str(tmp_path / "x.gbt"), *words)
        assert answer.returncode == 2 and says in answer.stderr, (words, answer.stderr)
    assert not (tmp_path / "x.gbt").exists()


def test_a_recording_that_is_not_what_was_asked_for_says_so_and_ends_with_status_1(busy, image, tmp_path):
    late = glassbox("trace", busy.name, "-o", str(tmp_path / "late.gbt"), "--until", "sym:panic", "--seconds", "0.5")
    assert late.returncode == 1 and "sym:panic was not executed before the end (time)" in late.stderr
    with booted("killed", image) as killed:
        command = [sys.executable, "-m", "qemu_bridge.cli", "trace", "killed", "-o", str(tmp_path / "killed.gbt")]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            wait_until(lambda: killed.client.trace_status().state in ("armed", "waiting"))
            os.kill(killed.client.connection.qemu_pid, signal.SIGKILL)
            _, said = process.communicate(timeout=120)
    assert process.returncode == 1 and "QEMU was killed" in said and "end: machine killed" in said


def test_vcpus_that_may_be_plugged_later_keep_no_machine_from_starting(image, tmp_path):
    with booted("plugged", image, qemu_args=("-smp", "1,maxcpus=3")) as machine:
        machine.client.qmp(
            "device_add", {"driver": "qemu64-x86_64-cpu", "id": "more", "socket-id": 0, "core-id": 1, "thread-id": 0}
        )
        path = tmp_path / "plugged.gbt"
        with recording(machine, path, "--verify"):
            machine.exec("echo 1 >/sys/devices/system/cpu/cpu1/online; for i in 1 2 3; do md5sum /bin/busybox; done")
        find_sound(path)
    # Said as only QEMU reads it: the machine runs, and tracing says why it does not.
    with booted("topology", image, qemu_args=("-smp", "1,maxcpus=0x3")) as machine:
        answer = glassbox("trace", machine.name, "-o", str(tmp_path / "topology.gbt"), "--seconds", "1")
        assert answer.returncode == 1 and "start it with fewer" in answer.stderr
        assert machine.exec("echo here") == b"here\n"
