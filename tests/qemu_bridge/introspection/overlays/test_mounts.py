"""Mounts, against /proc/1/mountinfo."""

from __future__ import annotations

import pytest
from overlay_checks import look

pytestmark = pytest.mark.guest


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


@pytest.mark.every_kernel
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
