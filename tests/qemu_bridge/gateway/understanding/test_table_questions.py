"""Rows by conditions, numbers and order."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("question", "command"),
    [
        ("processes that are not root's", "overlay demo processes --where 'uid!=0'"),
        ("files larger than 1 MiB", "overlay demo page-cache --where 'size>1048576'"),
        ("processes using at least 1.5 MB", "overlay demo processes --where 'resident_pages>=384'"),
        ("processes using not more than 10 MB", "overlay demo processes --where 'resident_pages<=2560'"),
        ("processes with 3 threads", "overlay demo processes --where thread_count=3"),
        ("threads with nice below 0", "overlay demo threads --where 'nice<0'"),
        ("slab objects larger than 64 bytes", "overlay demo slabs --where 'object_size>64'"),
        ("slabs with objects larger than 1 KiB", "overlay demo slabs --where 'object_size>1024'"),
        ("modules not in use", "overlay demo modules --where used_by="),
        ("sockets without a process", "overlay demo sockets --where pids="),
        ("sockets of nc that are not tcp", "overlay demo sockets --where pids=98 --where 'protocol!=tcp*'"),
        ("open files below /tmp", "overlay demo open-files --where 'path=/tmp/*'"),
        ("processes not called kworker", "overlay demo processes --where 'name!=kworker*'"),
        (
            "how many sleeping processes of root are there",
            "overlay demo processes --where state=S --where uid=0 --count",
        ),
        ("the three smallest modules", "overlay demo modules --sort size --first 3"),
        ("processes sorted by number of threads", "overlay demo processes --sort thread_count --reverse"),
        ("tcp or udp sockets", "overlay demo sockets --where 'protocol=tcp*|udp*'"),
        ("open files of init and crond", "overlay demo open-files --where 'pid=1|97'"),
        ("errors or warnings in the kernel log", "overlay demo dmesg --where 'level=err|warning'"),
        ("processes of root or larger than 1 MiB", ""),
        ("processes larger than crond", ""),
        ("processes started after crond", ""),
    ],
)
def test_a_question_means_a_command(question, command, asked):
    assert (asked(question) or "") == command
