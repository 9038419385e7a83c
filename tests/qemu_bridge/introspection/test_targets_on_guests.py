"""Targets and places against the guest's own word: what is read inside, and found again outside."""

import hashlib
import json
import random

import numpy as np
import pytest
from support import glassbox

from qemu_bridge.errors import UsageError
from qemu_bridge.introspection.classes import PageMapBuilder
from qemu_bridge.introspection.overlays.processes import find_task
from qemu_bridge.introspection.targets import (
    GuestSources,
    complete_target,
    describe_ranges,
    identify_place,
    parse_place,
    parse_target,
    resolve_target,
    total,
)
from qemu_bridge.introspection.targets.format import quote_name
from qemu_bridge.introspection.targets.grammar import CLASSES, SymbolPlace
from qemu_bridge.memory.addresses import PAGE_SIZE, VirtualAddress
from qemu_bridge.wire.records import Grade, PageClass

pytestmark = pytest.mark.guest


@pytest.fixture(scope="module")
def builder(machine):
    return PageMapBuilder(machine.ram, machine.kernel)


@pytest.fixture
def sources(machine, builder):
    """What is needed to answer in this process, from one page map; the guest stands still meanwhile."""
    with machine.paused():
        machine.context.forget()
        yield GuestSources(
            machine.ram, machine.kernel, machine.context, builder.build(Grade.PAUSED), query_time_s=600.0
        )


@pytest.fixture(scope="module")
def guest_symbols(machine):
    """(address, name, address of the next line) of some symbols of the image, in the guest's own words."""
    script = 'awk \'before { print before, $1; before = "" } NR % 500 == 7 { before = $1 " " $3 }\' /proc/kallsyms'
    rows = [line.split() for line in machine.exec(script).decode().splitlines()]
    # What stands in brackets behind the name is the module that it is of.
    return [(int(row[0], 16), row[1], int(row[2], 16)) for row in rows if row[0][0] in "89abcdef"]


def guest_frames(machine, pid, start, end):
    """Frames of the present pages of a range, in order (Documentation/admin-guide/mm/pagemap.rst)."""
    raw = machine.exec(
        f"dd if=/proc/{pid}/pagemap bs=8 skip={start >> 12} count={(end - start) >> 12} 2>/dev/null | od -An -v -tx8"
    )
    entries = np.array([int(word, 16) for word in raw.split()], np.uint64)
    return (entries & np.uint64((1 << 55) - 1))[entries >> np.uint64(63) == 1]


def in_ram(machine, frames):
    return sorted({int(frame) for frame in frames[machine.ram.layout.frames_to_pages(frames) >= 0]})


def frames_of(memory):
    return [
        frame
        for row in memory.ranges
        for frame in range(row.physical >> 12, row.physical + row.size + PAGE_SIZE - 1 >> 12)
    ]


def sleeper(machine):
    """A process that sleeps, so that its memory stays as it is."""
    return int(machine.exec("pidof crond").split()[0])


def test_patterns_are_all_that_the_guest_itself_calls_so(machine):
    def total_of(target):
        return machine.client.resolve(target).value.total_bytes

    whole, parts = machine.client.resolve("comm:kworker*/kernelstack"), machine.client.ps().value
    pids = [process.pid for process in parts if process.name.startswith("kworker")]
    assert len(pids) > 1 and whole.skipped == ()
    assert whole.value.total_bytes == total_of(" + ".join(f"pid:{pid}/kernelstack" for pid in pids)) > 0
    names = machine.exec("awk '$3 ~ /^fat_alloc_/ { print $3 }' /proc/kallsyms").decode().split()
    assert "fat_alloc_clusters" in names
    alike = machine.client.resolve("sym:fat_alloc_*").value
    assert alike.ranges == machine.client.resolve(" + ".join(f"sym:{name}" for name in names)).value.ranges
    assert total_of("file:*") > total_of("file:/lib/*.so*") >= total_of("file:/lib/ld-musl-x86_64.so.1") > 0
    with pytest.raises(UsageError, match=r"no slab cache matches at column 6, 'no\*such'"):
        total_of("slab:no*such")


def test_virtual_addresses_lead_where_the_guests_own_pagemap_says(machine):
    pid = sleeper(machine)
    checked = 0
    for area in machine.client.maps(pid):
        # Of areas that map frames without a struct page the guest's pagemap says nothing (VM_PFNMAP).
        if area.path in ("[vsyscall]", "[vvar]"):
            continue
        inside = guest_frames(machine, pid, area.start, area.end)
        outside = machine.client.resolve(f"va:{area.start:#x}+{area.end - area.start}@pid:{pid}").value
        assert frames_of(outside) == in_ram(machine, inside), area
        checked += len(inside)
    assert checked > 20


@pytest.mark.parametrize(("part", "path"), [("heap", "[heap]"), ("stack", "[stack]")])
def test_a_part_of_a_process_is_what_pagemap_says_of_that_area(machine, part, path):
    pid = sleeper(machine)
    areas = [area for area in machine.client.maps(pid) if area.path == path]
    inside = np.concatenate([guest_frames(machine, pid, area.start, area.end) for area in areas])
    found = machine.client.resolve(f"pid:{pid}/{part}").value
    assert len(inside) and frames_of(found) == in_ram(machine, inside)
    assert frames_of(machine.client.resolve(f"comm:crond/{part}").value) == frames_of(found)


def test_a_process_is_the_sum_of_its_parts(machine):
    pid = sleeper(machine)
    parts = " + ".join(f"pid:{pid}/{part}" for part in ("heap", "stack", "text", "anonymous", "file"))
    assert machine.client.resolve(f"pid:{pid}").value.total_bytes > 0
    assert machine.client.resolve(f"({parts}) - pid:{pid}").value.total_bytes == 0
    # What is left are the pages that the kernel shows every process: vdso and vvar.
    assert machine.client.resolve(f"pid:{pid} - ({parts})").value.total_bytes <= 16 * PAGE_SIZE


def test_page_tables_of_a_process_are_so_in_the_page_map_too(machine):
    found = machine.client.resolve(f"pid:{sleeper(machine)}/pagetables").value
    assert found.total_bytes >= 4 * PAGE_SIZE and {row.page_class for row in found.ranges} == {"page-table"}


def test_symbols_lie_where_kallsyms_and_the_page_tables_say(machine, guest_symbols, sources):
    checked = 0
    for address, name, after in guest_symbols:
        virtual = VirtualAddress(address)
        physical = machine.kernel.page_tables.translate(virtual)
        if physical is None or len(machine.kernel.kallsyms.lookup(name)) != 1 or after <= address:
            continue
        found = resolve_target(parse_target(f"sym:{quote_name(name, 'sym')}"), sources)
        if after - address <= PAGE_SIZE:
            assert total(found) == after - address, name
        assert any(start <= sources.layout.to_offset(physical) < end for start, end in found.tolist()), name
        place = identify_place(SymbolPlace(name, 0), sources)
        assert place.physical == physical and place.virtual == virtual
        if place.page_class == "kernel-text":
            assert place.symbol is not None and place.symbol.address == virtual and place.kernel_address == virtual
        checked += 1
    assert checked > 100


@pytest.mark.usefixtures("with_modules")
def test_symbols_of_modules_lie_where_the_guest_says_and_lead_back(each_machine):
    machine = each_machine
    lines = machine.exec("grep -E ' [tT] fat_.*[[]fat]' /proc/kallsyms").decode().splitlines()
    said = {words[2]: int(words[0], 16) for words in map(str.split, lines)}
    assert len(said) > 20
    for name, address in random.Random(3).sample(sorted(said.items()), 8):
        place = machine.client.identify(f"{name}+1").value
        assert place.virtual == place.kernel_address == address + 1 and place.page_class == "module"
        again = machine.client.identify(f"{place.physical:#x}").value
        assert again.kernel_address == address + 1 and again.symbol == place.symbol
        assert said[place.symbol.name] == address and (place.symbol.module, place.symbol.offset) == ("fat", 1)
        found = machine.client.resolve(f"sym:{name} & module:fat").value
        assert found.ranges[0].physical == place.physical - 1 and found.ranges[0].page_class == "module"


def test_a_symbol_of_every_cpu_is_found_on_every_cpu(machine, sources):
    name = "cpu_number" if machine.kernel.kallsyms.address_of("cpu_number") is not None else "pcpu_hot"
    found = describe_ranges(resolve_target(parse_target(f"sym:{name}"), sources), sources)
    assert len(found) >= 1 and {row.page_class for row in found} == {"per-cpu"}


def test_the_pages_of_a_file_hold_its_bytes(machine):
    path, size = "/bin/busybox", int(machine.exec("stat -c %s /bin/busybox"))
    script = f"""
        i=0
        while [ $((i * 4096)) -lt {size} ]; do
            dd if={path} bs=4096 skip=$i count=1 2>/dev/null | md5sum
            i=$((i + 1))
        done"""
    digests = [line.split()[0] for line in machine.exec(script).decode().splitlines()]
    with machine.paused():
        pages = machine.client.resolve(f"file:{path}", by_page=True).value
        seen = set()
        for row in pages.ranges[::5]:
            place = machine.client.identify(f"{row.physical:#x}").value
            assert place.file == path and place.file_offset is not None and place.file_offset % PAGE_SIZE == 0
            content = machine.ram.read(row.physical, PAGE_SIZE)[: size - place.file_offset]
            assert hashlib.md5(content).hexdigest() == digests[place.file_offset >> 12]
            seen.add(place.file_offset)
    assert pages.total_bytes == -(-size // PAGE_SIZE) * PAGE_SIZE and len(seen) == len(pages.ranges[::5])


def test_where_and_whose_agree_for_hundreds_of_pages(machine, sources):
    chosen = random.Random(7).sample(range(machine.ram.page_count), 400)
    kinds = set()
    for page in chosen:
        place = identify_place(parse_place(f"pa:{page << 12:#x}"), sources)
        # One sentence for all of it: in its class, with each of its owners, at each address that leads to it.
        terms = [f"class:{place.page_class}"]
        terms += [
            f"{owner.kind}:{quote_name(owner.name)}"
            for owner in place.owners
            if owner.kind in ("slab", "file", "module")
        ]
        terms += [f"pid:{owner.pid}" for owner in place.owners if owner.kind == "process"]
        terms += [f"va:{row.virtual:#x}@pid:{row.pid}" for row in place.mappings]
        text = " & ".join([f"pa:{page << 12:#x}", *terms])
        assert total(resolve_target(parse_target(text), sources)) == PAGE_SIZE, text
        kinds.add(place.page_class)
    assert len(kinds) >= 6


def test_a_task_is_an_object_of_its_slab_cache(machine, sources):
    for pid in (1, sleeper_of(sources)):
        address = find_task(machine.context.objects, pid).address
        place = identify_place(parse_place(f"va:{address + 24:#x}"), sources)
        assert place.slab is not None and place.slab.cache == "task_struct"
        assert place.slab.start == machine.kernel.page_tables.translate(VirtualAddress(address))
        assert place.slab.offset == 24 and place.kernel_address == address + 24
        assert place.slab.size >= machine.kernel.btf.sizeof("task_struct") // 2


def sleeper_of(sources):
    return next(process.pid for process in sources.processes() if process.name == "crond")


def test_a_page_that_many_map_has_them_all_as_owners(machine, sources):
    row = describe_ranges(resolve_target(parse_target("comm:crond/text & pid:1/text"), sources), sources)[0]
    place = identify_place(parse_place(f"{row.physical:#x}"), sources)
    owners = {owner.name for owner in place.owners if owner.kind == "process"}
    assert {"init", "crond"} <= owners and {mapping.pid for mapping in place.mappings} >= {1, sleeper_of(sources)}
    for mapping in place.mappings:
        assert mapping.start <= mapping.virtual < mapping.end and "x" in mapping.permissions
        again = identify_place(parse_place(f"{mapping.virtual:#x}", mapping.pid), sources)
        assert again.physical == place.physical


def test_classes_of_the_page_map_add_up_to_all_of_ram(machine, sources):
    sizes = [total(resolve_target(parse_target(f"class:{label}"), sources)) for label in CLASSES]
    assert sum(sizes) == total(resolve_target(parse_target("all"), sources)) == machine.ram.size
    table = sizes[list(CLASSES.values()).index(PageClass.PAGE_TABLE)]
    assert 0 < total(resolve_target(parse_target("kernel.pagetables"), sources)) < table


def test_the_parts_of_the_kernel_are_there(machine, sources):
    for part in ("text", "rodata", "data", "bss", "percpu", "stack", "memmap", "pagetables", "slab"):
        assert total(resolve_target(parse_target(f"kernel.{part}"), sources)) > 0, part
    section = {section.name: section for section in machine.kernel.sections()}["text"]
    text = total(resolve_target(parse_target("kernel.text"), sources))
    assert text == pytest.approx(section.end - section.start, abs=2 * PAGE_SIZE)


def test_names_are_completed_from_what_is_there(sources):
    assert "file:/bin/busybox" in complete_target("file:/bin/b", sources)
    assert "comm:crond/heap" in complete_target(
        "all - comm:crond/h", sources
    ) or "all - comm:crond/heap" in complete_target("all - comm:crond/h", sources)
    assert "slab:dentry" in complete_target("slab:dent", sources)
    assert "sym:init_task" in complete_target("sym:init_ta", sources)


def test_a_question_without_time_is_answered_in_part(machine):
    page_map = machine.client.page_map().value
    hurried = GuestSources(machine.ram, machine.kernel, machine.context, page_map, query_time_s=0.0)
    page = machine.client.resolve("pid:1/text").value.ranges[0]
    place = identify_place(parse_place(f"{page.physical:#x}"), hurried)
    assert place.page_class == "process-text" and any("time ran out" in sentence for sentence in place.skipped)


def test_wrong_words_travel_as_one_line(machine):
    for ask in (
        lambda: machine.client.resolve("pid:1/heep").value,
        lambda: machine.client.resolve("comm:cront").value,
        lambda: machine.client.identify("no_such_symbol").value,
        lambda: machine.client.identify("0x10", 999_999).value,
    ):
        with pytest.raises(UsageError) as caught:
            ask()
        assert "\n" not in str(caught.value) and ";" in str(caught.value)


def test_the_command_line_says_the_same(machine):
    found = glassbox("where", machine.name, "sym:init_task", "--json")
    row = json.loads(found.stdout)["ranges"][0]
    answer = glassbox("whose", machine.name, "sym:init_task+8", "--json")
    place = json.loads(answer.stdout)
    assert int(place["physical"], 16) == int(row["physical"], 16) + 8 and place["symbol"]["name"] == "init_task"
    table = glassbox("where", machine.name, "sym:init_task")
    assert table.stdout.splitlines()[0].split() == ["FIRST", "LAST", "SIZE", "CLASS"] and table.returncode == 0
    text = glassbox("whose", machine.name, "init_task")
    assert "symbol    init_task+0x0" in text.stdout and "kernel-data" in text.stdout
    nothing = glassbox("where", machine.name, "free & kernel.text")
    assert nothing.returncode == 1 and not nothing.stdout and "0 KiB in 0 ranges" in nothing.stderr
    wrong = glassbox("where", machine.name, "pid:1/heep")
    assert wrong.returncode == 2 and "at column 7, 'heep'; did you mean heap?" in wrong.stderr
    assert "pid:1/heap" in glassbox("targets", machine.name, "pid:1/").stdout.split()


def test_a_part_of_a_symbols_name_finds_it_and_wildcards_match_it_whole(machine):
    names = {row[2] for row in machine.kallsyms()}

    def found(part):
        return [each.name for each in machine.client.find_symbols(part).value]

    assert found("init_task")[0] == "init_task" and found("INIT_TASK")[0] == "init_task"
    assert "schedule_timeout" in found("dule_timeo") and "init_task" in found("inittsk")
    wild = found("tcp_v4_*init")
    assert wild == sorted(
        {name for name in names if name.startswith("tcp_v4_") and name.endswith("init")}, key=wild.index
    )
    assert wild and found("init_tas?")[0] == "init_task" and not found("init_tas?k") and not found("")
    assert len(found("*")) == 200 and not found("x" * 5000 + "\n")
