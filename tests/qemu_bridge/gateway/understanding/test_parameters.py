"""What programs write is a question, too."""

from __future__ import annotations

import pytest

from qemu_bridge.gateway.understanding.parameters import to_question


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("open files of pid=97", "open files of pid 97"),
        ("list sockets where state is LISTEN limit 5", "list sockets with state LISTEN first 5"),
        ("slabs where size > 1M", "slabs with size > 1M"),
        ("read 0x1000, length 64", "read 0x1000, 64 bytes"),
        ("snap width=640 height=480", "snap 640x480"),
        ("resolve target=pid:1/heap", "resolve  pid:1/heap"),
        ('find "limit 5" in memory', 'find "limit 5" in memory'),
        ("how long is crond running", "how long is crond running"),
    ],
)
def test_parameters_become_words(written, words):
    assert to_question(written) == words


@pytest.mark.parametrize(
    ("question", "command"),
    [
        ("list_processes", "ps demo"),
        ("read_memory(address=0x1000, length=64)", "peek demo 0x1000 64"),
        ("pid=97 open files", "overlay demo open-files --where pid=97"),
        ("get open files for process 'sshd'", "overlay demo open-files --where pid=120"),
        ('compare with capture "before" limited to pid:97', "compare before demo --target pid:97"),
        (
            "take screenshot coloured by owner, width 640 height 480",
            "snap demo -o memory.png --size 640x480 --at mode=owner",
        ),
        ("get top 5 hottest kernel functions from demo.gbt", "trace top demo.gbt --symbols demo -n 5 --kernel"),
        ("hottest user space functions", "trace top demo.gbt --symbols demo --user"),
        ("hottest functions of crond", "trace top demo.gbt --symbols demo --pid 97"),
    ],
)
def test_a_tool_call_means_a_command(question, command, asked):
    assert asked(question) == command


@pytest.mark.parametrize(
    ("question", "command"),
    [
        ("Z procs?", "overlay demo processes --where state=Z"),
        ("tasks in R", "overlay demo processes --where state=R"),
        (":22 socks", "overlay demo sockets --where 'local=*:22'"),
        ("grep oom in dmesg", "overlay demo dmesg --where 'text=*oom*'"),
        ("query overlay kernel-stacks for pid 97", "overlay demo kernel-stacks --where pid=97"),
        ('highlight(target="pid:97/heap", session=2)', "highlight demo pid:97/heap --session 2"),
        ("init_task+0x10", "identify demo init_task+0x10"),
        ("64 bytes @ init_task+16", "peek demo init_task+16 64"),
        ("dump memory from 0x1000 to 0x1100", "peek demo 0x1000 256"),
        ("/root:.*:0/ in ram", "find demo --regex root:.*:0"),
        ("tasks in S limit 3", "overlay demo processes --where state=S --first 3"),
        ("nice of mounts, perms of /", ""),
        ("which module was loaded last?", "overlay demo modules --first 1"),
        ("processes that have no command line", "overlay demo processes --where command_line="),
        ("find 0xdeadbeef in ram", ""),
        ("what was the first process to start", "overlay demo threads --sort started_ns --first 1"),
    ],
)
def test_shorthand_means_a_command(question, command, asked):
    assert (asked(question) or "").replace("'root:.*:0'", "root:.*:0") == command
