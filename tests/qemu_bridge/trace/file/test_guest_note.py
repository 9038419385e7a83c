"""What a trace's header says of the guest: as it was, or nothing."""

import json

import pytest
from trace_kernel import FakeKernel, process

from qemu_bridge.errors import NotBootedError
from qemu_bridge.trace.file.guest_note import GuestNote, note_guest, read_note
from qemu_bridge.wire.records import Answer, Grade, KernelInfo, Module


class Guest(FakeKernel):
    def kernel(self):
        return Answer(KernelInfo("6.1", "abcd", 0x200000), Grade.LIVE)

    def ps(self):
        return Answer((process(7, "sh", 0x5000), process(2, "kthreadd", None)), Grade.LIVE)

    def modules(self):
        return Answer((Module("fat", 0xFFFFFFFFC0000000, 4096, "Live", ()),), Grade.LIVE)


def test_a_note_survives_the_header():
    header = json.loads(json.dumps(note_guest(Guest())))
    wanted = GuestNote("abcd+0x200000", ((0x5000, 7),), (("fat", 0xFFFFFFFFC0000000),), ("sh",))
    assert read_note(header) == wanted


def test_nothing_is_noted_while_no_kernel_runs():
    class Booting(Guest):
        def kernel(self):
            raise NotBootedError("not yet")

    assert note_guest(Booting()) == {}


@pytest.mark.parametrize("about", [{}, {"guest": None}, {"guest": {"kernel": 5}}, {"guest": {"processes": [[1]]}}])
def test_a_note_that_is_none_is_none(about):
    assert read_note(about) is None
