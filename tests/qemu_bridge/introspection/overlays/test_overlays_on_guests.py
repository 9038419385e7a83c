"""Every overlay against the guest's own word: read inside, pause, read outside, read inside again.

What the guest says twice alike has lived through the pause, and there the overlay must agree exactly.
"""

import base64
import ipaddress
import re
import struct

import numpy as np
import pytest

from qemu_bridge.introspection.overlays import OverlayContext, find_overlays, read_overlay
from qemu_bridge.introspection.overlays.kernel_stacks import Unwinder
from qemu_bridge.introspection.overlays.sockets import _NETLINK, _TYPES
from qemu_bridge.kernel.budget import Budget

pytestmark = pytest.mark.guest


@pytest.fixture
def context(each_machine):
    return OverlayContext(each_machine.ram, each_machine.kernel)


def read(context, name):
    """The rows of an overlay, which must be complete."""
    context.forget()
    table = read_overlay(find_overlays().find(name), context, Budget())
    assert table.complete, table.skipped
    return table.rows


def look(machine, context, name, command, parse):
    """(what the guest says twice alike as a dict, the overlay's rows)."""
    before = parse(machine.exec(command).decode())
    with machine.paused():
        rows = read(context, name)
    after = parse(machine.exec(command).decode())
    steady = {key: value for key, value in before.items() if after.get(key, ()) == value}
    return steady, rows


def make_elf(code):
    """A static program of these instructions."""
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, 62, 1, 0x400078, 64, 0, 0, 64, 56, 1, 64, 0, 0)
    size = 120 + len(code)
    return header + struct.pack("<IIQQQQQQ", 1, 5, 0, 0x400000, 0x400000, size, size, 0x1000) + code


# clone(VM | FS | FILES | SIGHAND | THREAD, rsp - 4096) twice makes four threads; each then waits in pause().
_CLONE = "bf000f0100 488db42400f0ffff 31d2 4d31d2 4d31c0 b838000000 0f05"
THREADED = make_elf(bytes.fromhex(_CLONE + _CLONE + "b822000000 0f05 ebf7"))


@pytest.fixture
def threaded(each_machine):
    """The pid of a process of four threads that sleep."""
    script = (
        f"echo {base64.b64encode(THREADED).decode()} | base64 -d >/tmp/four; chmod +x /tmp/four; /tmp/four & echo $!"
    )
    pid = int(each_machine.exec(script + "; usleep 300000"))
    yield pid
    each_machine.exec(f"kill -9 {pid}; rm /tmp/four")


EACH_THREAD = (
    'cd /proc; for t in [0-9]*/task/[0-9]*; do echo "== ${t##*/}"; cat $t/%s $t/status; done 2>/dev/null; true'
)


def parse_threads(text, parse):
    """By thread: how often it was switched to and away from, and what `parse` makes of the rest.

    A thread whose switches did not change has not run in between, so nothing about it may differ.
    """
    found = {}
    for block in text.split("== ")[1:]:
        thread, _, rest = block.partition("\n")
        switches = tuple(re.findall(r"^\w*voluntary_ctxt_switches:\s*(\d+)", rest, re.MULTILINE))
        if len(switches) == 2:
            found[int(thread)] = (*switches, parse(rest))
    return found


def parse_stat(text):
    _, name, rest = re.match(r"(\d+) \((.*)\) (.*)", text).groups()
    words = rest.split()
    return (name, words[0], int(words[1]), int(words[16]), int(words[19]), int(words[36]))


def test_threads_are_those_of_proc(each_machine, context, threaded):
    steady, rows = look(
        each_machine, context, "threads", EACH_THREAD % "stat", lambda text: parse_threads(text, parse_stat)
    )
    found = {
        row["thread_id"]: (
            row["name"],
            row["state"],
            row["parent_pid"],
            row["nice"],
            row["started_ns"] // 10**7,
            row["cpu"],
        )
        for row in rows
    }
    assert len(steady) > 30
    assert {thread: found.get(thread) for thread in steady} == {thread: entry[2] for thread, entry in steady.items()}
    assert [row["pid"] for row in rows].count(threaded) == 4
    assert {row["name"] for row in rows if row["pid"] == threaded} == {"four"}


def test_areas_are_the_lines_of_every_maps_file(each_machine, context):
    def parse(text):
        found = {}
        for block in text.split("== ")[1:]:
            pid, _, lines = block.partition("\n")
            found[int(pid)] = re.findall(r"^(\w+)-(\w+) (\S+) (\w+) (\S+) (\d+) *(.*)$", lines, re.MULTILINE)
        return found

    command = "for p in /proc/[0-9]*; do [ -s $p/cmdline ] || [ -e $p/exe ] && echo == ${p#/proc/} && cat $p/maps; done 2>/dev/null; true"
    steady, rows = look(each_machine, context, "areas", command, parse)
    steady = {pid: lines for pid, lines in steady.items() if lines}
    assert len(steady) >= 4
    for pid, lines in steady.items():
        found = [
            (
                *(f"{row['start']:08x}", f"{row['end']:08x}", row["permissions"], f"{row['file_offset']:08x}"),
                *(row["device"], str(row["inode"]), row["path"]),
            )
            for row in rows
            if row["pid"] == pid
        ]
        assert found == lines


def parse_slabs(text):
    lines = [line.split() for line in text.splitlines() if not line.startswith(("slabinfo", "#"))]
    return {line[0]: (*map(int, line[1:6]), int(line[14])) for line in lines}


def test_slabs_are_those_of_slabinfo(each_machine, context):
    steady, rows = look(each_machine, context, "slabs", "cat /proc/slabinfo", parse_slabs)
    names = ("active_objects", "objects", "object_size", "objects_per_slab", "pages_per_slab", "slabs")
    found = {row["name"]: tuple(row[name] for name in names) for row in rows}
    assert len(steady) > 50
    assert {name: found[name][1:] for name in steady} == {name: entry[1:] for name, entry in steady.items()}
    moved = [name for name, entry in steady.items() if found[name][0] != entry[0]]
    assert len(moved) <= len(steady) // 20, moved


def test_modules_are_those_of_proc(each_machine, context):
    def parse(text):
        lines = [line.split() for line in text.splitlines()]
        return {line[0]: (int(line[1]), line[3], line[4], int(line[5], 16)) for line in lines}

    steady, rows = look(each_machine, context, "modules", "cat /proc/modules", parse)
    found = {
        row["name"]: (row["size"], "".join(f"{user}," for user in row["used_by"]) or "-", row["state"], row["base"])
        for row in rows
    }
    assert len(steady) == 4 and found == steady


MOUNTING = (
    "mkdir -p /mnt/a /mnt/b '/mnt/c d'; mount -t tmpfs -o ro,nosuid,noatime,size=1m one /mnt/a; mount --bind /etc /mnt/b;"
    "mount -t tmpfs -o sync,nodev,nodiratime two '/mnt/c d'; : >/tmp/point; mount --bind /etc/passwd /tmp/point"
)
UNMOUNTING = "umount /tmp/point '/mnt/c d' /mnt/b /mnt/a; rm -r /mnt/a /mnt/b '/mnt/c d' /tmp/point"


def parse_mountinfo(text):
    found = {}
    for line in text.splitlines():
        before, behind = line.split(" - ")
        number, parent, device, root, point, options = before.split()[:6]
        kind, source, more = behind.split()[:3]
        # Only what is a flag; what a file system adds of its own is no field anywhere.
        flags = [word for word in more.split(",") if word in ("sync", "dirsync", "mand", "lazytime")]
        first, *rest = options.split(",")
        first = "ro" if "ro" in (first, more.split(",")[0]) else "rw"
        plain = [part.replace("\\040", " ") for part in (device, source, kind, root, point)]
        found[int(number)] = (int(parent), *plain, ",".join([first, *flags, *rest]))
    return found


def test_mounts_are_those_of_mountinfo(each_machine, context):
    each_machine.exec(MOUNTING)
    try:
        steady, rows = look(each_machine, context, "mounts", "cat /proc/1/mountinfo", parse_mountinfo)
    finally:
        each_machine.exec(UNMOUNTING)
    names = ("parent_id", "device", "source", "filesystem", "root", "point", "options")
    found = {row["mount_id"]: tuple(row[name] for name in names) for row in rows}
    # A rootfs has no mount above it; mountinfo leaves it out where it cannot be reached.
    assert len(steady) >= 11 and {number: found[number] for number in steady} == steady
    order = [row["mount_id"] for row in rows if row["mount_id"] in steady]
    assert order == list(steady)


OPENING = (
    "mkfifo /tmp/pipe; sleep 1000 >/tmp/pipe & cat </tmp/pipe & exec 7>/tmp/written; echo twelve >&7; "
    "echo gone >/tmp/gone; exec 8</tmp/gone; rm /tmp/gone; sleep 1000 7>&7 8<&8 | sleep 1000 & exec 7>&- 8<&-; usleep 300000"
)


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


def test_open_files_are_those_of_proc(each_machine, context):
    each_machine.exec(OPENING)
    list_files = (
        'echo $$ $PPID; for p in /proc/[0-9]*; do for f in $p/fd/*; do [ -L $f ] && echo "== $f" && readlink $f && '
        "cat $p/fdinfo/${f##*/}; done; done 2>/dev/null; true"
    )
    try:
        steady, rows = look(each_machine, context, "open-files", list_files, parse_files)
    finally:
        each_machine.exec("killall sleep; rm /tmp/pipe /tmp/written; usleep 200000")
    found = {
        (row["pid"], row["descriptor"]): (row["path"], row["position"], row["flags"], row["inode"]) for row in rows
    }
    paths = {entry[0] for entry in steady.values()}
    assert {"/tmp/pipe", "/tmp/written", "/tmp/gone (deleted)"} <= paths
    assert any(path.startswith("pipe:[") for path in paths) and any(path.startswith("socket:[") for path in paths)
    assert {key: found.get(key) for key in steady} == steady
    written = next(row for row in rows if row["path"] == "/tmp/written")
    assert written["position"] == 7 and written["access"] == "w"


def parse_sockets(text):
    found = {}
    for block in text.split("== ")[1:]:
        protocol, _, lines = block.partition("\n")
        for line in lines.splitlines()[1:]:
            words = line.split()
            if protocol == "unix":
                found[int(words[6])] = ("unix", words[7] if len(words) > 7 else "", int(words[5]))
            elif protocol == "netlink":
                found[int(words[9])] = ("netlink", int(words[1]), int(words[2]), int(words[3], 16))
            elif protocol == "packet":
                found[int(words[8])] = ("packet", int(words[2]), int(words[3], 16), int(words[4]), int(words[7]))
            else:
                local, remote = parse_host(words[1]), parse_host(words[2])
                key = (protocol, local, remote, int(words[3], 16))
                found[key] = (int(words[7]), int(words[9]))
    return found


def parse_host(text):
    host, port = text.split(":")
    data = b"".join(bytes.fromhex(host[at : at + 8])[::-1] for at in range(0, len(host), 8))
    address = str(ipaddress.ip_address(data))
    return f"[{address}]:{int(port, 16)}" if len(data) == 16 else f"{address}:{int(port, 16)}"


STATES = (
    "ESTABLISHED",
    "SYN_SENT",
    "SYN_RECV",
    "FIN_WAIT1",
    "FIN_WAIT2",
    "TIME_WAIT",
    "CLOSE",
    "CLOSE_WAIT",
    "LAST_ACK",
    "LISTEN",
)
TALK = (
    "ip link set lo up; nc -lk -s 127.0.0.1 -p 8080 -e cat & sleep 1000 | nc 127.0.0.1 8080 & nc -l -p 8081 >/dev/null & "
    "sleep 1000 | nc -u 127.0.0.1 9 & nc -u -l -p 8082 >/dev/null & usleep 500000; echo x | nc 127.0.0.1 8080"
)


def test_sockets_are_those_of_proc(each_machine, context):
    each_machine.exec(TALK)
    command = "for n in tcp tcp6 udp udp6 unix; do echo == $n; cat /proc/net/$n; done"
    try:
        steady, rows = look(each_machine, context, "sockets", command, parse_sockets)
    finally:
        each_machine.exec("killall sleep; killall nc; usleep 300000")
    internet = {key: value for key, value in steady.items() if isinstance(key, tuple)}
    found = {
        (row["protocol"], row["local"], row["remote"], 1 + STATES.index(row["state"])): (row["uid"], row["inode"])
        for row in rows
        if row["protocol"].startswith(("tcp", "udp"))
    }
    assert found.keys() >= internet.keys() and {key: found[key] for key in internet} == internet
    states = {STATES[key[3] - 1] for key in internet}
    assert {"LISTEN", "ESTABLISHED", "TIME_WAIT"} <= states and {key[0][:3] for key in internet} == {"tcp", "udp"}
    unix = {key: value for key, value in steady.items() if isinstance(key, int)}
    kinds = {"CONNECTED": 3, "UNCONNECTED": 1, "LISTEN": 1}
    ours = {
        row["inode"]: ("unix", row["local"], kinds[row["state"]]) for row in rows if row["protocol"].startswith("unix")
    }
    assert len(unix) >= 2 and {key: ours[key] for key in unix} == unix
    listener = next(row for row in rows if row["local"] == "127.0.0.1:8080" and row["state"] == "LISTEN")
    assert len(listener["pids"]) >= 1


LISTEN_BELOW = (
    "ip link set lo up; udhcpc -i lo -f -t 100 -T 100 -s /bin/true >/dev/null 2>&1 & ping -q 127.0.0.1 >/dev/null & "
    "mdev -df >/dev/null & usleep 500000"
)


def test_netlink_packet_and_raw_sockets_are_those_of_proc(each_machine, context):
    each_machine.exec(LISTEN_BELOW)
    command = "for n in netlink packet raw raw6; do echo == $n; cat /proc/net/$n; done"
    try:
        steady, rows = look(each_machine, context, "sockets", command, parse_sockets)
        (interface,) = each_machine.exec("cat /sys/class/net/lo/ifindex").split()
    finally:
        each_machine.exec("killall udhcpc ping mdev; usleep 300000")
    by_inode = {row["inode"]: row for row in rows}
    seen = set()
    for key, entry in steady.items():
        if isinstance(key, tuple):
            row = next(row for row in rows if (row["protocol"], row["local"], row["remote"]) == key[:3])
            assert (row["uid"], row["inode"]) == entry
            seen.add(key[0])
            continue
        row = by_inode[key]
        seen.add(entry[0])
        if entry[0] == "netlink":
            assert row["local"] == f"port {entry[2]} groups {entry[3]:#x}"
            assert row["protocol"] == f"netlink-{_NETLINK.get(entry[1], entry[1])}"
        else:
            place = {0: "any interface", int(interface): "lo"}[entry[3]]
            assert row["local"] == f"{entry[2]:#06x} on {place}" and row["uid"] == entry[4]
            assert row["protocol"] == f"packet-{_TYPES[entry[1]]}" and row["pids"]
    assert {"netlink", "packet", "raw"} <= seen
    assert sum(row["protocol"].startswith("netlink") for row in rows) == sum(
        entry[0] == "netlink" for entry in steady.values()
    )
    assert any(row["protocol"] == "netlink-kobject-uevent" and row["pids"] for row in rows)


SLOW_DISK = """
mkdir -p /mnt/cg; mount -t cgroup2 none /mnt/cg; echo +io >/mnt/cg/cgroup.subtree_control; mkdir /mnt/cg/slow
dd if=/dev/zero of=/tmp/disk bs=1M count=2 2>/dev/null; losetup /dev/loop0 /tmp/disk; losetup /dev/loop1 /dev/loop0
echo "7:0 rbps=2" >/mnt/cg/slow/io.max; echo 3 >/proc/sys/vm/drop_caches
sh -c 'echo $$ >/mnt/cg/slow/cgroup.procs; exec dd if=/dev/loop1 of=/dev/null bs=4096 count=1 skip=200' >/dev/null 2>&1 &
usleep 500000
"""
QUICK_DISK = """
echo "7:0 rbps=max" >/mnt/cg/slow/io.max; usleep 500000; losetup -d /dev/loop1; losetup -d /dev/loop0
rm /tmp/disk; rmdir /mnt/cg/slow; umount /mnt/cg; rmdir /mnt/cg
"""


def test_a_stack_is_unwound_through_a_module(each_machine, context):
    """A block device on a block device that may read two bytes a second: its worker waits, with the module on its stack."""
    each_machine.exec(SLOW_DISK)
    try:
        steady, rows = look(
            each_machine, context, "kernel-stacks", EACH_THREAD % "stack", lambda text: parse_threads(text, parse_stack)
        )
    finally:
        each_machine.exec(QUICK_DISK)
    through = {thread: entry[2] for thread, entry in steady.items() if "[loop]" in " ".join(entry[2])}
    assert through
    for thread, frames in through.items():
        assert tuple(row["symbol"] for row in rows if row["thread_id"] == thread) == frames
        assert not frames[-1].endswith("[loop]") and all(row["certain"] for row in rows if row["thread_id"] == thread)


def test_the_log_is_what_dmesg_prints(each_machine, context):
    each_machine.exec("echo 'two\nlines: ünïcode \x01' >/dev/kmsg; echo '<3>glassbox: an error' >/dev/kmsg")
    before = each_machine.exec("dmesg").decode().splitlines()
    with each_machine.paused():
        rows = read(context, "dmesg")
    after = each_machine.exec("dmesg").decode().splitlines()
    found = [f"[{row['time']}] {line}" for row in rows for line in (row["text"].splitlines() or [""])]
    assert len(found) > 100
    assert before == found[: len(before)] and found == after[: len(found)]
    error = next(row for row in rows if row["text"] == "glassbox: an error")
    assert error["level"] == "error"


def parse_stack(text):
    return tuple(re.findall(r"^\[<0>\] (.*)$", text, re.MULTILINE))


def test_kernel_stacks_are_those_of_proc(each_machine, context, threaded):
    steady, rows = look(
        each_machine, context, "kernel-stacks", EACH_THREAD % "stack", lambda text: parse_threads(text, parse_stack)
    )
    found = {}
    for row in rows:
        found.setdefault(row["thread_id"], []).append(row["symbol"])
    steady = {thread: entry[2] for thread, entry in steady.items()}
    assert len(steady) > 30 and sum("pause" in " ".join(frames) for frames in steady.values()) >= 4
    assert {thread: tuple(found.get(thread, ())) for thread in steady} == steady


def test_without_unwind_tables_the_search_finds_every_call_and_marks_it(each_machine, context, monkeypatch):
    with each_machine.paused():
        certain = read(context, "kernel-stacks")
        monkeypatch.setattr(Unwinder, "_read_addresses", lambda self, *_: np.zeros(0, np.int64))
        guessed = read(context, "kernel-stacks")
    assert all(row["certain"] for row in certain) and len(certain) > 100
    innermost = [row for row in guessed if row["certain"]]
    assert all(row["depth"] == 0 for row in innermost)
    assert all(row["symbol"].startswith("? ") for row in guessed if not row["certain"])
    known = {(row["thread_id"], row["address"]) for row in certain}
    # Where a thread begins nobody calls: its first return address is made by hand.
    missed = known - {(row["thread_id"], row["address"]) for row in guessed}
    assert not {row["symbol"] for row in certain if (row["thread_id"], row["address"]) in missed and row["depth"] == 0}
    assert len(missed) <= len({row["thread_id"] for row in certain})


def test_the_page_cache_counts_the_pages_that_meminfo_counts(each_machine, context):
    each_machine.exec("dd if=/dev/zero of=/tmp/cached bs=4096 count=300 2>/dev/null")
    # vm.stat_refresh folds what each CPU has counted for itself into the sum.
    command = "echo 1 >/proc/sys/vm/stat_refresh; cat /proc/meminfo"

    def parse(text):
        return dict(re.findall(r"^(\w+): +(\d+) kB", text, re.MULTILINE))

    steady, rows = look(each_machine, context, "page-cache", command, parse)
    total = sum(row["pages"] for row in rows) * 4
    assert abs(total - int(steady["Cached"]) - int(steady["Buffers"])) <= 64
    file = next(row for row in rows if row["path"] == "/tmp/cached")
    assert (file["pages"], file["size"], file["filesystem"], file["mapped"]) == (300, 300 << 12, "tmpfs", False)
    assert next(row for row in rows if row["path"] == "/bin/busybox")["mapped"]
    inode = int(each_machine.exec("stat -c %i /tmp/cached; rm /tmp/cached").split()[0])
    assert inode == file["inode"] and not [row for row in read(context, "page-cache") if row["path"] == "/tmp/cached"]


BINDING = (
    "mkdir -p /mnt/all /mnt/part; mount -t tmpfs all /mnt/all; mkdir /mnt/all/sub; echo inside >/mnt/all/sub/file; "
    "echo outside >/mnt/all/other; mount --bind /mnt/all/sub /mnt/part; umount /mnt/all"
)


def test_a_file_system_that_is_mounted_in_part_has_its_files_there(each_machine, context):
    each_machine.exec(BINDING)
    try:
        paths = [row["path"] for row in read(context, "page-cache")]
    finally:
        each_machine.exec("umount /mnt/part; rmdir /mnt/all /mnt/part")
    assert "/mnt/part/file" in paths and "tmpfs:/other" in paths
