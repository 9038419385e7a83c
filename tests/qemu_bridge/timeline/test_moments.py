"""RAM of a machine that begins at a moment: taken or copied, with random numbers made anew."""

import os

import pytest

from qemu_bridge.errors import HostError
from qemu_bridge.machine.requests import Moment
from qemu_bridge.timeline.moments import describe_copy, place_ram

SIZE = 1 << 20


@pytest.mark.parametrize("is_taken", [True, False])
def test_ram_is_the_moments_but_for_its_random_numbers(is_taken, tmp_path):
    source, ram = tmp_path / "moment", tmp_path / "ram"
    content = os.urandom(8192)
    with open(source, "wb") as file:
        file.truncate(SIZE)
        os.pwrite(file.fileno(), content, 65536)
    copy = None if is_taken else describe_copy(source)
    place_ram(Moment(source, tmp_path / "devices", copy, ((65536, 32), (69632, 96))), ram)
    found = ram.read_bytes()
    assert len(found) == SIZE and source.exists() is not is_taken
    assert found[65536 + 32 : 69632] == content[32:4096] and found[69632 + 96 : 73728] == content[4096 + 96 :]
    assert found[65536 : 65536 + 32] != content[:32] and found[69632 : 69632 + 96] != content[4096 : 4096 + 96]
    assert not any(found[:65536]) and not any(found[73728:])
    assert ram.stat().st_mode & 0o077 == 0 or is_taken


def test_ram_that_is_gone_is_told(tmp_path):
    with pytest.raises(HostError, match="cannot be taken"):
        place_ram(Moment(tmp_path / "gone", tmp_path, None, ()), tmp_path / "ram")


@pytest.mark.parametrize(
    "harm", [lambda file: file.truncate(70000), lambda file: os.pwrite(file.fileno(), b"x", 66000)]
)
def test_a_copy_that_is_not_what_it_was_is_told(harm, tmp_path):
    source = tmp_path / "moment"
    source.write_bytes(bytes(65536) + os.urandom(65536))
    moment = Moment(source, tmp_path / "devices", describe_copy(source), ())
    with open(source, "r+b", buffering=0) as file:
        harm(file)
    with pytest.raises(HostError, match="damaged"):
        place_ram(moment, tmp_path / "ram")
