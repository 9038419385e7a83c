"""What processes use, against the kernel's other accounts of it."""

import mmap
import os
import subprocess
import sys
import time

from qemu_bridge.host.processes import cpu_seconds, give_back_memory, private_bytes


def test_processor_time_is_what_the_process_itself_counts():
    before = time.process_time()
    found = cpu_seconds(os.getpid())
    assert before <= found <= time.process_time()
    while time.process_time() < before + 0.02:
        pass
    assert cpu_seconds(os.getpid()) > found


def test_a_process_that_is_gone_uses_nothing():
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    assert cpu_seconds(ended.pid) is None and private_bytes(ended.pid) == 0


def test_shared_memory_is_not_a_processs_own():
    size = 32 << 20
    before = private_bytes(os.getpid())
    with mmap.mmap(-1, size) as shared:
        shared.write(b"x" * size)
        assert private_bytes(os.getpid()) < before + size // 2
    with mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as own:
        own.write(b"x" * size)
        assert private_bytes(os.getpid()) > before + size // 2


def test_memory_below_what_is_still_used_is_given_back():
    blocks = [os.urandom(100_000) for _ in range(500)]
    del blocks[:-1]
    before = private_bytes(os.getpid())
    give_back_memory()
    assert private_bytes(os.getpid()) < before - (40 << 20) and len(blocks) == 1
