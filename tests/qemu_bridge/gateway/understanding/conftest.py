"""A guest's names, as the questions of these tests mean them."""

from __future__ import annotations

import pytest

from qemu_bridge.gateway.understanding import KnownProcess, Request, StaticNames, Unsure, understand

PROCESSES = (
    (1, 0, "init"),
    (2, 0, "kthreadd"),
    (3, 2, "rcu_gp"),
    (7, 2, "kworker/0:0-rcu_gp"),
    (14, 2, "ksoftirqd/0"),
    (16, 2, "migration/0"),
    (26, 2, "writeback"),
    (29, 2, "ksmd"),
    (36, 2, "kswapd0"),
    (96, 1, "syslogd"),
    (97, 1, "crond"),
    (98, 1, "nc"),
    (99, 1, "sh"),
    (120, 1, "sshd"),
)


@pytest.fixture(scope="session")
def names():
    return StaticNames(
        processes=[KnownProcess(*row) for row in PROCESSES],
        modules=["dummy", "loop", "vfat", "fat"],
        slabs=["dentry", "filp", "kmalloc-64", "task_struct", "inode_cache", "TCP", "pid", "cred_jar"],
        files=["/bin/busybox", "/lib/ld-musl-x86_64.so.1", "/etc/passwd", "/var/log/messages"],
        captures=("before",),
        traces=("demo.gbt",),
        symbols=frozenset(["init_task", "jiffies", "schedule", "do_sys_open", "tcp_v4_rcv"]),
        types=frozenset(["task_struct", "mm_struct", "list_head", "page"]),
    )


@pytest.fixture
def asked(names):
    """A function from a question to the command that it means, or to None."""

    def ask(question):
        meaning = understand(question, names, "demo")
        if isinstance(meaning, Unsure):
            assert meaning.reason
            return None
        assert isinstance(meaning, Request) and meaning.says
        return meaning.command_text("demo").removeprefix("glassbox ")

    return ask
