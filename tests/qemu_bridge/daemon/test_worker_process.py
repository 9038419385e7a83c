"""The worker's process, spoken to over its pipes."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from support import is_running, wait_until

from qemu_bridge.daemon.worker_process import LENGTH, Question, Reply, Setup
from qemu_bridge.memory.addresses import RamLayout
from qemu_bridge.wire.records import Grade

SIZE = 1 << 20


def start(folder, parent_pid=None):
    ram = folder / "ram"
    ram.write_bytes(bytes(SIZE))
    regions = tuple((int(r.start), int(r.offset), r.size) for r in RamLayout.from_rule("pc", SIZE).regions)
    process = subprocess.Popen(
        [sys.executable, "-m", "qemu_bridge.daemon.worker_process"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    send(process, Setup(parent_pid or os.getpid(), str(ram), regions, str(folder / "pages"), None))
    return process


def send(process, message):
    text = msgspec.msgpack.encode(message)
    process.stdin.write(LENGTH.pack(len(text)) + text)
    process.stdin.flush()


def ask(process, operation, arguments=b"{}"):
    send(process, Question(operation, arguments, Grade.LIVE, 0))
    (length,) = LENGTH.unpack(process.stdout.read(LENGTH.size))
    return msgspec.msgpack.decode(process.stdout.read(length), type=Reply)


@pytest.fixture
def process(tmp_path):
    with start(tmp_path) as found:
        yield found
        found.kill()


def test_it_answers_as_long_as_it_is_asked_and_ends_with_its_input(process):
    for _ in range(2):
        reply = ask(process, "ps")
        assert reply.kind == "NotBootedError" and reply.message
    process.stdin.close()
    assert process.wait(timeout=120) == 0


def test_memory_that_has_no_kernel_is_read_all_the_same(process):
    reply = ask(process, "read_memory", b'{"ranges": [[0, 16], [4096, 4]]}')
    assert reply.frames == [bytes(16), bytes(4)] and b'"grade":"live"' in reply.result


def test_a_wrong_argument_is_an_error_that_travels(process):
    reply = ask(process, "maps", b'{"pid": "x"}')
    assert reply.kind == "UsageError" and "pid: expected integer, got string" in reply.message


def test_it_ends_at_once_under_a_parent_that_is_not_its_own(tmp_path):
    with start(tmp_path, parent_pid=1) as process:
        assert process.wait(timeout=120) == 0


def test_it_dies_with_its_parent(tmp_path):
    program = f"""
import sys, time
from pathlib import Path
sys.path[:0] = {[str(Path(__file__).parent), *sys.path]!r}
import test_worker_process
process = test_worker_process.start(Path({str(tmp_path)!r}))
assert test_worker_process.ask(process, "ps").kind
print(process.pid, flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        pid = int(parent.stdout.readline())
        assert is_running(pid)
        parent.kill()
    wait_until(lambda: not is_running(pid))
