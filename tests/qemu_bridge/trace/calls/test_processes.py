"""Which process a page-table root is of, as time goes by."""

from qemu_bridge.trace.calls.processes import Pid, Processes, learn


def test_a_root_has_the_name_of_its_time():
    processes = Processes([(0x1000, 1, "init")], lambda root: "77 named" if root == 0x7000 else "")
    child = Pid()
    processes.begin(0x2000, processes.at(0x1000).name, child)
    first = processes.at(0x2000)
    processes.execute(0x3000, child, b"/usr/bin/a-very-long-name-of-a-program")
    processes.begin(0x2000, "other", Pid(9))
    child.value = 5
    assert (str(processes.at(0x1000)), str(first), str(processes.at(0x2000))) == ("1 init", "5 init", "9 other")
    assert str(processes.at(0x3000)) == "5 a-very-long-nam"
    assert (str(processes.at(0x7000)), str(processes.at(0x8000))) == ("77 named", "? ?")


def test_a_process_that_asks_for_its_number_is_known_from_then_on():
    processes = Processes([], lambda root: "")
    before = processes.at(0x1000)
    learn(before, "read", 3)
    learn(before, "getpid", -1)
    learn(before, "set_tid_address", 12)
    learn(before, "getpid", 13)
    assert before.pid.value == processes.at(0x1000).pid.value == 12


def test_a_root_is_nobodys_when_it_is_loaded_after_its_process_ended():
    processes = Processes([(0x1000, 1, "one"), (0x2000, 2, "two")], lambda root: "")
    for root in (0x1000, 0x2000):
        processes.end(root)
    assert str(processes.at(0x1000)) == "1 one", "its other threads go on for a moment"
    processes.begin(0x2000, "three", Pid(3))
    processes.load(0x1000)
    processes.load(0x2000)
    assert (str(processes.at(0x1000)), str(processes.at(0x2000))) == ("? ?", "3 three")
