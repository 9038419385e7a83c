"""Names of files, as the kernel spells them."""

from __future__ import annotations

import pytest
from overlay_checks import check_maps

pytestmark = pytest.mark.guest


@pytest.mark.parametrize(
    "place",
    [
        pytest.param("d=/tmp/plain; mkdir -p $d", id="plain"),
        pytest.param("d='/tmp/a b'; mkdir -p \"$d\"", id="blank"),
        pytest.param("d=/tmp/$(printf 'two\\nlines'); mkdir -p \"$d\"", id="newline"),
        pytest.param("d=/tmp/mounted; mkdir -p $d; mount -t tmpfs none $d; mkdir -p $d/below; d=$d/below", id="tmpfs"),
        pytest.param("d=/tmp/bound; mkdir -p $d /tmp/bound-from; mount --bind /tmp/bound-from $d", id="bind"),
        pytest.param("d=/tmp/gone; mkdir -p $d; delete=1", id="deleted"),
    ],
)
def test_a_mapped_file_has_the_name_the_kernel_gives_it(machine, place):
    """A copy of busybox run from odd places."""
    setup = f'{place}; cp $(readlink -f $(which busybox || echo /bin/busybox)) "$d/sleep"'
    machine.exec(
        f'{setup}; ("$d/sleep" 1000 & echo $! >/tmp/pid) >/dev/null 2>&1; sleep 1; test -z "$delete" || rm "$d/sleep"'
    )
    pid = int(machine.exec("cat /tmp/pid").decode())
    try:
        mapped = check_maps(machine, pid)
    finally:
        machine.exec(
            f"kill -9 {pid}; umount /tmp/mounted /tmp/bound 2>/dev/null; rm -rf /tmp/mounted /tmp/bound* /tmp/gone; true"
        )
    assert any("sleep" in mapping.path for mapping in mapped)
