"""The page cache, against /proc/meminfo."""

from __future__ import annotations

import re

import pytest
from overlay_checks import look, read

pytestmark = pytest.mark.guest


@pytest.mark.every_kernel
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
