"""System calls of a trace are what the guest's own kernel wrote down meanwhile: number, arguments, result, process."""

import re

import pytest
from call_words import END, OTHER_ROOT, ROOT, Callers, call, iret, load, returns, text, window
from guest_tracepoints import told_during
from support import find_sound, recording
from trace_producer import Event, event
from trace_program import record_words

from qemu_bridge.errors import TraceError
from qemu_bridge.trace.calls.matching import iter_calls
from qemu_bridge.trace.calls.system_call import Outcome
from qemu_bridge.trace.file.reader import TraceReader
from tcg_plugin.layout import Gate

WORK = """
cat >/tmp/work <<'END'
#!/bin/sh
echo first $$
ls /etc /nowhere | wc -l
cat /etc/passwd | grep -c root
mkdir /tmp/calls; echo text > /tmp/calls/file; mv /tmp/calls/file /tmp/calls/other; rm -r /tmp/calls
trap : USR1
(sleep 0.1; kill -USR1 $$) & sleep 0.4; wait
timeout 0.2 sleep 5
/bin/busybox nowhere
/etc/passwd
sh -c 'echo last $$'
END
chmod +x /tmp/work; /tmp/work 2>/dev/null; rm /tmp/work
"""
"""Programs, pipes, errors, signals that interrupt, an end by signal, a program that cannot be executed."""
INTERNAL = range(-516, -511)
"""Results that the kernel keeps to itself: the call is made again, or returns EINTR."""
EINTR = -4


def work(machine, path, script):
    """Of what the script did: our calls, the kernel's."""
    with recording(machine, path):
        output, told = told_during(machine, script)
    first, last = (int(re.search(rf"{word} (\d+)", output)[1]) for word in ("first", "last"))
    with TraceReader(path) as trace:
        ours = sorted(iter_calls(trace), key=lambda each: each.time_ns)
    return (
        [each for each in ours if first <= (each.process.pid.value or 0) <= last],
        [each for each in told if first <= each.tid <= last],
    )


def assert_same(ours, told):
    by_pid, mine = {}, {}
    for each in told:
        by_pid.setdefault(each.tid, []).append(each)
    for one in ours:
        mine.setdefault(one.process.pid.value, []).append(one)
    assert mine.keys() == by_pid.keys()
    for pid, theirs in by_pid.items():
        pairs = list(zip(theirs, mine[pid], strict=True))
        assert [(one.number, one.arguments) for _, one in pairs] == [
            (each.number, each.arguments[: len(one.arguments)]) for each, one in pairs
        ]
        for each, one in pairs:
            if each.result in INTERNAL:
                assert one.result == EINTR or one.outcome in (Outcome.RESTARTED, Outcome.OPEN), (each, one)
            elif one.outcome is Outcome.NO_RETURN:
                assert one.name in ("exit_group", "exit", "rt_sigreturn")
            else:
                assert (one.outcome, one.result) == (Outcome.RETURNED, each.result), (each, one)


@pytest.mark.guest
@pytest.mark.long
def test_calls_are_what_the_guests_kernel_wrote_down(machine, tmp_path):
    ours, told = work(machine, tmp_path / "work.gbt", WORK)
    assert_same(ours, told)
    names = {each.name for each in ours}
    assert {"execve", "fork", "pipe", "wait4", "rt_sigreturn", "exit_group", "kill"} <= names
    assert any(each.result == EINTR for each in ours), "no signal interrupted a call"
    started = [each.texts[0][0] for each in ours if each.name == "execve" and each.result == 0]
    assert {b"/bin/ls", b"/bin/cat", b"/bin/sleep"} <= set(started)
    listed = [each for each in ours if each.process.name == "ls" and each.name == "open"]
    assert [each.texts[0][0] for each in listed if each.result >= 0] == [b"/etc"]
    find_sound(tmp_path / "work.gbt")


def calls_of(folder, *parts, others=None):
    streams = [window(*parts)] if others is None else [[window(*parts)], [window(*others)]]
    path = record_words(folder / "trace", Callers, streams, vcpus=1 if others is None else 2)
    with TraceReader(path) as trace:
        return sorted(iter_calls(trace), key=lambda call: call.time_ns)


def brief(calls):
    return [(each.name, each.result, str(each.outcome), each.duration_ns) for each in calls]


def test_a_call_that_a_signal_interrupts_returns_when_its_handler_has(tmp_path):
    found = calls_of(
        tmp_path,
        *(call(35, 1, at=10), iret(0, at=20, stack=0x6000, address=0x402000)),
        *(call(39, at=30, stack=0x6000), returns(7, at=31, stack=0x6000)),
        *(call(15, at=40, stack=0x6000), iret(-4, at=50)),
    )
    assert brief(found) == [
        ("nanosleep", -4, "returned", 40),
        ("getpid", 7, "returned", 1),
        ("rt_sigreturn", None, "no-return", None),
    ]


def test_an_interrupted_call_that_is_made_again_is_said_to_be(tmp_path):
    found = calls_of(tmp_path, call(0, 3, at=10), iret(0, at=20, address=END - 2), call(0, 3, at=21), returns(5, at=30))
    assert brief(found) == [("read", None, "restarted", 10), ("read", 5, "returned", 9)]


def test_an_interrupt_elsewhere_in_a_thread_ends_no_call(tmp_path):
    found = calls_of(
        tmp_path,
        *(call(0, 3, at=10), iret(9, at=11, stack=0x9000), iret(9, at=12, address=0x401555)),
        *(
            call(1, 4, at=20, stack=0x9000),
            load(OTHER_ROOT),
            iret(0, at=21),
            load(ROOT),
            returns(8, at=30, stack=0x9000),
        ),
        returns(6, at=40),
    )
    assert brief(found) == [("read", 6, "returned", 30), ("write", 8, "returned", 10)]


def test_a_thread_may_return_on_another_vcpu(tmp_path):
    found = calls_of(
        tmp_path,
        call(0, 3, at=10),
        others=(call(39, at=5, stack=0x100), returns(1, at=8, stack=0x100), returns(2, at=20)),
    )
    assert brief(found) == [("getpid", 1, "returned", 3), ("read", 2, "returned", 10)]
    assert (found[1].vcpu, found[0].instructions, found[1].instructions) == (0, 1, None)


def test_a_child_of_vfork_runs_on_its_makers_stack(tmp_path):
    found = calls_of(
        tmp_path,
        *(call(58, at=10), returns(0, at=11), iret(0, at=12)),
        *(call(59, 0x10, at=13), text(0, b"/bin/none"), returns(-2, at=14)),
        *(call(59, 0x10, at=15), text(0, b"/bin/one"), load(OTHER_ROOT), load(ROOT)),
        *(returns(77, at=16), load(OTHER_ROOT), iret(0, at=17, stack=0x100, address=0x88, begins=True)),
        *(call(39, at=18), returns(77, at=19), load(ROOT), call(39, at=20), returns(70, at=21)),
    )
    assert [(each.name, each.result, str(each.process)) for each in found] == [
        ("vfork", 77, "70 ?"),
        ("execve", -2, "77 ?"),
        ("execve", 0, "77 ?"),
        ("getpid", 77, "77 one"),
        ("getpid", 70, "70 ?"),
    ]


def who(calls):
    return [(each.name, each.result, str(each.process)) for each in calls]


def test_a_child_of_posix_spawn_has_its_own_number(tmp_path):
    """It is made by clone3, whose flags are not recorded, has a stack of its own, and executes a program while its maker waits."""
    found = calls_of(
        tmp_path,
        *(call(39, at=1), returns(70, at=2), call(435, at=10), returns(0, at=11, stack=0x80000)),
        *(call(3, 5, at=12, stack=0x7FF00), returns(0, at=13, stack=0x7FF00)),
        *(call(59, 0x10, at=14, stack=0x7F000), text(0, b"/bin/one"), load(OTHER_ROOT)),
        *(iret(0, at=15, stack=0x100, begins=True), call(39, at=16, stack=0x90), load(ROOT), returns(77, at=17)),
        *(load(OTHER_ROOT), returns(77, at=18, stack=0x90), load(ROOT), call(39, at=19), returns(70, at=20)),
    )
    assert who(found) == [
        *(("getpid", 70, "70 ?"), ("clone3", 77, "70 ?"), ("close", 0, "77 ?"), ("execve", 0, "77 ?")),
        *(("getpid", 77, "77 one"), ("getpid", 70, "70 ?")),
    ]


def test_two_children_that_begin_in_the_other_order_have_the_numbers_that_they_say(tmp_path):
    found = calls_of(
        tmp_path,
        *(call(57, at=1), returns(120, at=2), call(57, at=3), returns(121, at=4)),
        *(load(0xA000), iret(0, at=5), call(218, at=6), returns(121, at=7), call(3, 5, at=8), returns(0, at=9)),
        *(load(0xC000), iret(0, at=10), call(218, at=11), returns(120, at=12), call(3, 5, at=13), returns(0, at=14)),
    )
    assert [str(each.process) for each in found[2:]] == ["121 ?", "121 ?", "120 ?", "120 ?"]


def test_a_thread_that_clone3_made_is_of_its_process(tmp_path):
    found = calls_of(
        tmp_path,
        *(call(39, at=1), returns(70, at=2), call(435, at=10), returns(0, at=11, stack=0x80000)),
        *(call(3, 5, at=12, stack=0x7FF00), returns(0, at=13, stack=0x7FF00), returns(71, at=14)),
        *(call(3, 6, at=15, stack=0x7FF00), returns(0, at=16, stack=0x7FF00)),
    )
    assert who(found)[1:] == [("clone3", 71, "70 ?"), ("close", 0, "70 ?"), ("close", 0, "70 ?")]


def test_other_threads_of_a_process_that_waits_in_vfork_are_not_the_child(tmp_path):
    found = calls_of(
        tmp_path,
        *(call(39, at=1), returns(70, at=2), call(58, at=10), returns(0, at=11)),
        *(call(39, at=12, stack=0x900000), returns(70, at=13, stack=0x900000)),
        *(call(3, 5, at=14), returns(0, at=15), call(231, 1, at=16), returns(77, at=17), load(OTHER_ROOT), load(ROOT)),
        *(call(39, at=18), returns(70, at=19)),
    )
    assert who(found)[1:] == [
        *(("vfork", 77, "70 ?"), ("getpid", 70, "70 ?"), ("close", 0, "77 ?"), ("exit_group", None, "77 ?")),
        ("getpid", 70, "70 ?"),
    ]


def test_a_page_table_of_a_process_that_ended_has_its_name_no_more(tmp_path):
    found = calls_of(
        tmp_path,
        *(call(39, at=1), returns(70, at=2), call(231, 0, at=3), load(OTHER_ROOT), load(ROOT)),
        *(call(3, 5, at=4), returns(0, at=5)),
    )
    assert who(found) == [("getpid", 70, "70 ?"), ("exit_group", None, "70 ?"), ("close", 0, "? ?")]


def test_calls_of_32_bit_programs_have_numbers_of_their_own(tmp_path):
    found = calls_of(tmp_path, call(20, at=10, gate=Gate.INT_80), iret(0xFFFFFFF6, at=11))
    assert brief(found) == [("getpid", -10, "returned", 1)] and found[0].gate is Gate.INT_80


def test_a_page_table_that_a_new_program_left_may_be_anothers_at_once(tmp_path):
    found = calls_of(
        tmp_path,
        *(
            call(57, at=1),
            load(0xA000),
            iret(0, at=2),
            call(59, 0x10, at=3),
            text(0, b"/bin/one"),
            load(OTHER_ROOT),
            load(ROOT),
        ),
        *(returns(8, at=4), call(57, at=5), load(0xA000), iret(0, at=6), call(59, 0x10, at=7), text(0, b"/bin/two")),
        *(
            load(ROOT),
            returns(9, at=8),
            load(OTHER_ROOT),
            iret(0, at=9, begins=True),
            call(39, at=10),
            returns(8, at=11),
        ),
        *(load(0xA000), load(0xC000), iret(0, at=12, begins=True), call(39, at=13), returns(9, at=14)),
    )
    assert [(each.name, each.result, str(each.process)) for each in found[1::2]] == [
        ("execve", 0, "8 ?"),
        ("execve", 0, "9 ?"),
        ("getpid", 9, "9 two"),
    ]
    assert str(found[4].process) == "8 one"


def test_what_a_gap_or_an_end_leaves_open_is_said(tmp_path):
    gap = event(Event.GAP, *[0] * 10)
    found = calls_of(
        tmp_path, returns(3, at=5), call(0, 3, at=10), gap, returns(5, at=30), call(1, 4, at=40), call(60, 0, at=50)
    )
    assert brief(found) == [
        ("?", 3, "began-before", None),
        ("read", None, "open", None),
        ("?", 5, "began-before", None),
        ("write", None, "open", None),
        ("exit", None, "no-return", None),
    ]


def test_texts_in_pieces_are_one(tmp_path):
    (found,) = calls_of(
        tmp_path, call(82, 1, 2, at=10), text(0, b"a" * 144, True), text(0, b"b"), text(1, b"", True), returns(0, at=11)
    )
    assert found.texts == {0: (b"a" * 144 + b"b", False), 1: (b"", True)}


def test_a_trace_of_an_older_release_is_refused_in_words(tmp_path):
    with pytest.raises(TraceError, match="older release"):
        calls_of(tmp_path, [1, *event(Event.SYSCALL, 39, 0)])


def test_a_trace_without_events_is_refused_in_words(tmp_path):
    path = record_words(tmp_path / "trace", Callers, [window()], features=1)
    with TraceReader(path) as trace, pytest.raises(TraceError, match="without events"):
        list(iter_calls(trace))


@pytest.mark.parametrize("words", [call(39, at=10, gate=4), [2, *event(Event.SYSRET, *[0] * 8, small=0x1FF)]])
def test_a_way_into_the_kernel_that_there_is_not_is_refused(tmp_path, words):
    with pytest.raises(TraceError, match="is damaged"):
        calls_of(tmp_path, words)


def test_a_call_from_code_that_was_left_out_ends_like_any_other(tmp_path):
    """The last block that was recorded says nothing of where it returns to."""
    left_out = event(Event.LEFT_OUT, 3, 0)
    hidden = call(0, 3, at=10)[1:]
    found = calls_of(tmp_path, call(39, at=1), returns(7, at=2), left_out, hidden, returns(5, at=20, address=0x402345))
    assert brief(found) == [("getpid", 7, "returned", 1), ("read", 5, "returned", 10)]


def test_a_call_from_recorded_code_knows_its_end_where_other_code_was_left_out(tmp_path):
    left_out = event(Event.LEFT_OUT, 3, 0)
    found = calls_of(tmp_path, left_out, call(0, 3, at=10), left_out, iret(0, at=20, address=END - 2))
    assert brief(found) == [("read", None, "restarted", 10)]
