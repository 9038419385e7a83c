"""Open files, against /proc/PID/fd and fdinfo."""

from __future__ import annotations

import re

import pytest
from guest_programs import install, make_elf
from overlay_checks import look

pytestmark = pytest.mark.guest


OPENING = (
    "mkfifo /tmp/pipe; sleep 1000 >/tmp/pipe & cat </tmp/pipe & exec 7>/tmp/written; echo twelve >&7; "
    "echo gone >/tmp/gone; exec 8</tmp/gone; rm /tmp/gone; sleep 1000 7>&7 8<&8 | sleep 1000 & exec 7>&- 8<&-; "
    "sleep 1000 6</proc/1/ns/net & sleep 1000 5</proc/1/ns/mnt & /tmp/pidfd & usleep 300000"
)
# pidfd_open(1, 0), then pause().
PIDFD = make_elf(bytes.fromhex("bf01000000 31f6 b8b2010000 0f05 b822000000 0f05 ebf7"))


def parse_files(text):
    found = {}
    shell, *blocks = text.split("== ")
    for block in blocks:
        # A file closed while it was looked at has a name and nothing else.
        place, path, *info = [*block.splitlines(), ""]
        _, _, pid, _, number = place.split("/")
        facts = dict(re.findall(r"^(\w+):\s*(\w+)", "\n".join(info), re.MULTILINE))
        # The shell that looks has other files open while it does so.
        if "pos" in facts and pid not in shell.split():
            found[int(pid), int(number)] = (path, int(facts["pos"]), int(facts["flags"], 8), int(facts["ino"]))
    return found


@pytest.mark.every_kernel
def test_open_files_are_those_of_proc(each_machine, context):
    install(each_machine, PIDFD, "/tmp/pidfd")
    each_machine.exec(OPENING)
    list_files = (
        'echo $$ $PPID; for p in /proc/[0-9]*; do for f in $p/fd/*; do [ -L $f ] && echo "== $f" && readlink $f && '
        "cat $p/fdinfo/${f##*/}; done; done 2>/dev/null; true"
    )
    try:
        steady, rows = look(each_machine, context, "open-files", list_files, parse_files)
    finally:
        each_machine.exec("killall sleep pidfd; rm /tmp/pipe /tmp/written /tmp/pidfd; usleep 200000")
    found = {
        (row["pid"], row["descriptor"]): (row["path"], row["position"], row["flags"], row["inode"]) for row in rows
    }
    paths = {entry[0] for entry in steady.values()}
    assert {"/tmp/pipe", "/tmp/written", "/tmp/gone (deleted)"} <= paths
    assert any(path.startswith("net:[4") for path in paths) and any(path.startswith("mnt:[4") for path in paths)
    assert any("pidfd" in path for path in paths)
    assert any(path.startswith("pipe:[") for path in paths) and any(path.startswith("socket:[") for path in paths)
    assert {key: found.get(key) for key in steady} == steady
    written = next(row for row in rows if row["path"] == "/tmp/written")
    assert written["position"] == 7 and written["access"] == "w"
