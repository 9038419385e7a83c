"""The registry of overlays: our own, other people's from real distributions, and every way in which those can be broken."""

import contextlib
import dataclasses
import random
import re
import shutil
import time
from types import SimpleNamespace

import msgspec
import pytest
from support import glassbox

from qemu_bridge.errors import UsageError
from qemu_bridge.introspection.overlays import BuiltOverlay, OverlayContext, find_overlays, read_overlay
from qemu_bridge.kernel.budget import Budget
from qemu_bridge.kernel.symbols import KernelSymbols
from qemu_bridge.memory.ram import GuestRam

NAMES = (
    "processes threads areas page-cache slabs modules kernel-stacks open-files sockets mounts dmesg learned gpu-port gpu-jobs"
).split()
MAY_BE_EMPTY = ("modules", "learned", "gpu-port", "gpu-jobs")
"""A kernel without modules is as good as any other, and few machines have learned loops or a share of a GPU."""

GOOD = """
from dataclasses import dataclass
from qemu_bridge.introspection.overlays import BuiltOverlay

@dataclass(frozen=True, slots=True)
class Uptime:
    jiffies: int

def read(context, budget):
    yield Uptime(context.objects.unsigned(context.kernel.address_of("jiffies")))

OVERLAY = BuiltOverlay("uptime", "How long the guest has run.", ("jiffies:#x",), read)
"""


def install(folder, monkeypatch, source, entries="uptime = gb_sample:OVERLAY", name="gb-sample"):
    """Install a distribution of one module by hand, as an installer would."""
    module = re.search(r"= (\w+)", entries)[1]
    (folder / f"{module}.py").write_text(source)
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "RECORD").write_text("")
    (info / "entry_points.txt").write_text(f"[glassbox.overlays]\n{entries}\n")
    monkeypatch.syspath_prepend(str(folder))


@pytest.fixture
def nothing():
    """A context for overlays that do not look at the guest."""
    return SimpleNamespace(objects=SimpleNamespace(charged_to=contextlib.nullcontext))


def test_an_empty_table_of_ours_is_never_silent(nothing):
    for overlay in find_overlays().overlays.values():
        silent = read_overlay(dataclasses.replace(overlay, rows=lambda context, budget: ()), nothing, Budget())
        assert silent.rows == () and silent.complete == (overlay.name in MAY_BE_EMPTY)


@pytest.mark.guest
def test_every_table_of_ours_has_rows_in_a_guest_that_runs(each_machine):
    for overlay in find_overlays().overlays.values():
        table = each_machine.client.overlay(overlay.name)
        assert table.value.rows or overlay.name in MAY_BE_EMPTY, (overlay.name, table.skipped)


def test_our_own_come_first_each_with_a_summary():
    registry = find_overlays()
    assert list(registry.overlays) == NAMES and registry.skipped == ()
    for info in registry.infos():
        assert info.summary.endswith(".") and info.columns and info.origin == "built in"
    with pytest.raises(UsageError, match="dmesg"):
        registry.find("demsg")


@pytest.mark.guest
def test_an_installed_distribution_brings_its_own(machine, tmp_path, monkeypatch):
    install(tmp_path, monkeypatch, GOOD)
    registry = find_overlays()
    assert registry.skipped == () and registry.origins["uptime"].startswith("gb-sample")
    table = read_overlay(registry.find("uptime"), OverlayContext(machine.ram, machine.kernel), Budget())
    assert table.complete and table.rows[0]["jiffies"] > 0


def test_a_loose_file_will_do(tmp_path, monkeypatch):
    path = tmp_path / "mine.py"
    path.write_text(GOOD)
    monkeypatch.setenv("GLASSBOX_OVERLAYS", str(path))
    assert find_overlays().origins["uptime"] == str(path)
    path.write_text(GOOD + "\nOVERLAY = [OVERLAY]")
    assert "uptime" in find_overlays().overlays
    monkeypatch.setenv("GLASSBOX_OVERLAYS", str(tmp_path / "none.py"))
    assert "none.py" in find_overlays().skipped[0]


BROKEN = {
    "does not parse": "def",
    "cannot be imported": "import nothing_of_this_name",
    "raises": "raise RuntimeError('no')",
    "leaves": "import sys; sys.exit(3)",
    "never ends": "while True: pass",
    "is no overlay": "OVERLAY = 7",
    "has no name": GOOD.replace('"uptime"', "None"),
    "has a bad name": GOOD.replace('"uptime"', '"Up Time"'),
    "has no columns": GOOD.replace('("jiffies:#x",)', "()"),
    "has bad columns": GOOD.replace('("jiffies:#x",)', "'jiffies'"),
    "has no function": GOOD.replace(", read)", ", 3)"),
    "takes our name": GOOD.replace('"uptime"', '"dmesg"'),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_what_is_broken_is_named_and_passed_over(fault, tmp_path, monkeypatch):
    monkeypatch.setattr("qemu_bridge.introspection.overlays.registry._LOADING_TIME_S", 0.2)
    module = "gb_" + fault.replace(" ", "_")
    install(tmp_path, monkeypatch, BROKEN[fault], f"bad = {module}:OVERLAY", name="gb-broken")
    good = tmp_path / "good"
    good.mkdir()
    install(good, monkeypatch, GOOD, "uptime = gb_good:OVERLAY", name="gb-good")
    registry = find_overlays()
    assert len(registry.skipped) == 1 and "gb-broken" in registry.skipped[0]
    assert list(registry.overlays) == [*NAMES, "uptime"]
    assert registry.origins["dmesg"] == "built in"


@dataclasses.dataclass(frozen=True)
class Row:
    number: object


def overlay(rows, columns=("number",)):
    return BuiltOverlay("sample", "A sample.", columns, rows)


def endless(context, budget):
    yield Row(1)
    while True:
        pass


def stubborn(context, budget):
    yield Row(1)
    while True:
        try:
            time.sleep(0.01)
        except Exception:
            pass


def countless(context, budget):
    while True:
        yield Row(1)


def heavy(context, budget):
    while True:
        yield Row("x" * (1 << 20))


def raising(context, budget):
    yield Row(1)
    raise KeyError("lost")


def recursing(context, budget):
    yield Row(1)
    yield from recursing(context, budget)


def spends(context, budget):
    yield Row(1)
    budget.spend(1 << 40)


RUNNING = {
    "endless": (endless, "time ran out"),
    "stubborn": (stubborn, "time ran out"),
    "countless": (countless, "items"),
    "heavy": (heavy, "bytes"),
    "raising": (raising, "KeyError"),
    "spends": (spends, "items"),
    "no rows": (lambda context, budget: None, "TypeError"),
    "no dataclass": (lambda context, budget: [1, 2], "TypeError"),
    "a class": (lambda context, budget: [Row], "TypeError"),
    "no such column": (lambda context, budget: [SimpleNamespaceRow()], "number"),
    "no json": (lambda context, budget: [Row(1), Row({1, 2})], "TypeError"),
    "leaves": (lambda context, budget: exit(3), "SystemExit"),
    "wrong arguments": (lambda context: [], "TypeError"),
}


@dataclasses.dataclass(frozen=True)
class SimpleNamespaceRow:
    other: int = 1


@pytest.mark.parametrize("fault", RUNNING)
def test_whatever_an_overlay_does_it_ends_and_is_named(fault, nothing):
    rows, reason = RUNNING[fault]
    # Only those that would spend all their time get little of it: a busy machine can stand still for 0.3 s.
    time_s = 0.3 if reason == "time ran out" else 20.0
    started = time.monotonic()
    table = read_overlay(overlay(rows), nothing, Budget(time_s=time_s, items=2000))
    assert time.monotonic() - started < time_s + 30
    assert not table.complete and "sample" in table.skipped[-1] and reason in table.skipped[-1]
    assert all(row == {"number": 1} or fault == "heavy" for row in table.rows)


def test_recursion_without_end_is_an_error_like_others(nothing):
    table = read_overlay(overlay(recursing), nothing, Budget(time_s=2.0))
    assert not table.complete and table.rows[0] == {"number": 1}


@pytest.mark.guest
def test_the_command_line_lists_and_prints(machine):
    listed = glassbox("overlay", machine.name)
    assert listed.returncode == 0 and all(name in listed.stdout for name in NAMES)
    shown = glassbox("overlay", machine.name, "mounts")
    assert shown.returncode == 0 and "/proc" in shown.stdout and shown.stdout.startswith("MOUNT ID")
    stacks = glassbox("overlay", machine.name, "kernel-stacks")
    assert "0xffffffff" in stacks.stdout
    wrong = glassbox("overlay", machine.name, "mount")
    assert wrong.returncode == 2 and "mounts" in wrong.stderr


@pytest.mark.guest
def test_json_says_whether_a_table_is_complete(machine):
    table = machine.client.overlay("modules").value
    assert table.complete and table.columns[0] == "name" and len(table.rows) == 4
    answer = machine.client.overlays()
    infos, skipped = list(answer), list(answer.skipped)
    assert [info.name for info in infos] == NAMES and skipped == []


@pytest.mark.guest
def test_asking_does_not_touch_ram_that_nobody_touched(machine):
    with machine.paused():
        before = machine.ram.resident_pages().sum()
        for name in NAMES:
            assert machine.client.overlay(name).value.name == name
        assert machine.ram.resident_pages().sum() == before


ROUNDS = 150


@pytest.fixture(scope="module")
def capture(machine, tmp_path_factory):
    """A copy of the guest's RAM, and its kernel."""
    path = tmp_path_factory.mktemp("capture") / "ram"
    with machine.paused():
        machine.ram.copy_to(path)
    ram = GuestRam(path, machine.ram.layout)
    return ram, KernelSymbols.load(ram)


@pytest.mark.guest
# A budget's alarm may come while Hypothesis looks at the garbage collector, which loses it; it comes again.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_mutated_memory_never_breaks_an_overlay(capture, tmp_path):
    ram, kernel = capture
    path = tmp_path / "mutated"
    shutil.copyfile(ram.path, path)
    mutated = GuestRam(path, ram.layout)
    context = OverlayContext(mutated, kernel)
    overlays = [one for name, one in find_overlays().overlays.items() if name not in ("areas", "modules")]
    used = set()
    for one in overlays:
        context.objects.forget()
        read_overlay(one, context, Budget())
        used |= {context.objects.physical(page << 12) for page in context.objects._pages}
    used = sorted(offset for offset in used if offset is not None)
    dice = random.Random(3)
    broken = []
    with open(path, "r+b") as file:
        for round_number in range(ROUNDS):
            places = [ram.layout.to_offset(dice.choice(used) + dice.randrange(512) * 8) for _ in range(200)]
            # Pointers and counts do more harm than zeros.
            kept = [(place, word) for place in places if any(word := bytes(ram.view[place : place + 8]))]
            for place, word in kept:
                file.seek(place)
                file.write(mutate(word, dice))
            file.flush()
            one = overlays[round_number % len(overlays)]
            context.objects.forget()
            table = read_overlay(one, context, Budget(time_s=1.0))
            broken += [sentence for sentence in table.skipped if "failed and was skipped" in sentence]
            assert msgspec.to_builtins(table)["name"] == one.name
            for place, word in kept:
                file.seek(place)
                file.write(word)
            file.flush()
    assert not broken, broken


def mutate(word, dice):
    match dice.randrange(5):
        case 0:
            return dice.randbytes(8)
        case 1:
            return bytes(8)
        case 2:
            return b"\xff" * 8
        case 3:
            return (int.from_bytes(word, "little") ^ 1 << dice.randrange(64)).to_bytes(8, "little")
    return (int.from_bytes(word, "little") + dice.choice((-4096, 8, 16, 64)) & (1 << 64) - 1).to_bytes(8, "little")
