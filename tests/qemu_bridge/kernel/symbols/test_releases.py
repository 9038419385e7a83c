"""The table of what differs between kernel releases, and kernels that stand on either side of it."""

import re
from pathlib import Path

import pytest

from qemu_bridge.introspection.questions import Questions
from qemu_bridge.kernel.symbols import releases
from qemu_bridge.kernel.symbols.releases import DIFFERENCES, TESTED, caveat, has, parse_release

EVERY_QUESTION = {
    "ps": {},
    "maps": {"pid": 1},
    "modules": {},
    "sym": {"symbol": "init_task"},
    "overlay": {"overlay": "mounts"},
    "resolve": {"target": "pid:1", "by_page": False},
    "identify": {"place": "init_task", "pid": None},
}
SOURCE = Path(releases.__file__).resolve().parents[1]


@pytest.mark.parametrize(
    "text, expected",
    [
        ("6.1.0-56-cloud-amd64", (6, 1)),
        ("6.12.95+deb12-cloud-amd64", (6, 12)),
        ("6.6-rc1", (6, 6)),
        ("10.0", (10, 0)),
        ("6", None),
        ("", None),
        ("six.one", None),
        ("-6.1", None),
        ("6.12345678901234567890", None),
    ],
)
def test_a_release_is_its_first_two_numbers(text, expected):
    assert parse_release(text) == expected


def test_the_table_is_in_order_and_says_why():
    assert [row.since for row in DIFFERENCES] == sorted(row.since for row in DIFFERENCES)
    assert len({row.feature for row in DIFFERENCES}) == len(DIFFERENCES)
    for row in DIFFERENCES:
        assert re.fullmatch(r"([0-9a-f]{12})?", row.commit) and row.before and row.after and row.before != row.after


def test_code_asks_only_for_what_stands_in_the_table():
    asked = set()
    for path in SOURCE.rglob("*.py"):
        asked |= set(
            re.findall(r"(?:\bself\._has|(?<![.\w])has|kernel\.has|context\.has)\(\"([a-z_]+)\"", path.read_text())
        )
    assert asked and asked <= {row.feature for row in DIFFERENCES}
    with pytest.raises(KeyError):
        has("no_such_feature", "6.1")


def test_without_types_the_release_decides():
    assert has("module_memory", "6.4.0") and not has("module_memory", "6.3.13")
    assert has("slab_page_type", "7.0-rc1") and not has("maple_tree", "6.0.1")
    assert has("page_type_value", "my own kernel") is True


class Types:
    """BTF as far as a sign looks: the names that exist."""

    def __init__(self, *names):
        self.names = names

    def find(self, name, *kinds):
        return 1 if name in self.names else None

    def find_member(self, name, member):
        return object() if f"{name}.{member}" in self.names else None


def test_types_go_before_the_release():
    # A distribution took the change back into an older kernel, or left it out of a newer one.
    assert has("module_memory", "5.14.0-el9", Types("module", "module.mem"))
    assert not has("module_memory", "6.12.0", Types("module"))
    assert has("heap_bounds_exclusive", "6.6.1", Types())


def test_a_kernel_outside_the_tested_releases_gets_a_caveat():
    assert ((6, 1), (7, 3)) == TESTED
    assert caveat("6.1.0-56-cloud-amd64") == caveat("6.12.95+deb12-cloud-amd64") == caveat("6.6.1") == ""
    assert re.search(r"7\.4\.0 is newer than 7\.3, the newest that was tested", caveat("7.4.0"))
    assert "6.0.19 is older than 6.1, the oldest" in caveat("6.0.19")
    assert "no release number" in caveat("mine") and len(caveat("x" * 5000)) < 200


@pytest.mark.guest
def test_types_and_release_of_a_real_kernel_tell_the_same(each_machine):
    kernel = each_machine.kernel
    assert kernel.caveat == ""
    for row in DIFFERENCES:
        if row.feature == "shared_memory_names" and kernel.btf.find_member("vm_area_struct", "anon_name") is None:
            continue  # a kernel without CONFIG_ANON_VMA_NAME names nothing
        assert kernel.has(row.feature) == has(row.feature, kernel.release), row.feature


@pytest.mark.guest
@pytest.mark.every_kernel
def test_a_kernel_is_read_as_it_says_itself(each_machine):
    machine = each_machine
    assert machine.client.kernel().value.release == machine.exec("uname -r").decode().strip()
    inside = {int(entry): entry for entry in machine.exec("ls /proc").decode().split() if entry.isdigit()}
    processes = {process.pid: process for process in machine.client.ps()}
    assert {1, 2} <= set(processes) and len(set(inside) ^ set(processes)) < 6
    said = machine.exec("cat /proc/1/maps").decode().splitlines()
    told = [
        f"{row.start:08x}-{row.end:08x} {row.permissions} {row.file_offset:08x} {row.device} {row.inode}"
        for row in machine.client.maps(1)
    ]
    assert [" ".join(line.split()[:5]) for line in said if "[vsyscall]" not in line] == [
        line for line, row in zip(told, machine.client.maps(1), strict=True) if row.path != "[vsyscall]"
    ]
    said = {line.split()[0]: line.split()[1] for line in machine.exec("cat /proc/modules").decode().splitlines()}
    assert {module.name: str(module.size) for module in machine.client.modules()} == said
    statm = int(machine.exec("cat /proc/1/statm").split()[1])
    assert abs(processes[1].resident_pages - statm) < 64


@pytest.mark.guest
def test_a_kernel_that_the_table_does_not_know_is_read_all_the_same_and_said_to_be_so(machine, monkeypatch, tmp_path):
    monkeypatch.setattr(releases, "TESTED", ((5, 0), (5, 1)))
    asked = Questions(machine.ram, tmp_path / "pages")
    sentence = "is newer than 5.1, the newest that was tested"
    with machine.paused():
        assert "init" in [process.name for process in asked.answer("ps", {})]
        answers = [asked.answer(question, arguments) for question, arguments in EVERY_QUESTION.items()]
    assert all(any(sentence in said for said in answer.skipped) for answer in answers)
    assert sentence in " ".join(answers[-1].value.skipped), "also in what --json prints"
