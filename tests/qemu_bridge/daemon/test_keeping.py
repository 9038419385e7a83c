"""A boot is kept, and machines begin where its user space was up."""

import os
import time

import pytest
from support import glassbox

from qemu_bridge.client import Client
from qemu_bridge.timeline import warm


def values_of(name, command) -> list[str]:
    with Client.connect(name) as client:
        return client.exec(command, 120.0).output.decode().split()


@pytest.mark.guest
@pytest.mark.long
def test_the_second_start_begins_where_the_first_was_up_and_two_of_them_have_random_numbers_of_their_own(
    own_cache, image
):
    words = ("start", "warm", "--image", image.name, "--warm", "--wait", "--memory", "96M")
    names, command = ("warm-1", "warm-2"), "head -c 16 /dev/urandom | hexdump; hostname; date +%s"
    try:
        begun = time.monotonic()
        first = glassbox(*words)
        cold_s = time.monotonic() - begun
        assert first.returncode == 0 and "no boot of it was kept yet" in first.stderr
        assert values_of("warm", "echo up") == ["up"]
        glassbox("stop", "warm")
        begun = time.monotonic()
        second = glassbox(*words)
        warm_s = time.monotonic() - begun
        assert second.returncode == 0 and "boots" not in second.stderr
        assert warm_s < cold_s / 2, "much of it is Python's own start"
        assert glassbox(*words, "--count", "2").returncode == 0
        one, other = (values_of(name, command) for name in names)
        assert one[1:9] != other[1:9] and one[-2] == other[-2] == "glassbox"
        assert abs(int(one[-1]) - time.time()) < 60
        with Client.connect("warm-2") as client:
            assert "init" in [process.name for process in client.ps().value]
        assert "glassbox: ready" in glassbox("console", "warm-1").stdout
        (kept,) = own_cache.iterdir()
        with open(kept / warm.RAM, "r+b") as file:
            file.seek(1 << 20)
            file.write(os.urandom(1 << 20))
        glassbox("stop", "warm")
        broken = glassbox(*words)
        assert broken.returncode == 0 and "damaged" in broken.stderr
        assert values_of("warm", "echo up") == ["up"]
    finally:
        for name in ("warm", *names):
            glassbox("stop", name)
