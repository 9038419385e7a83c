"""The C is layered: a file includes, calls and reads only what lies in a layer below it."""

import re
from pathlib import Path

import pytest

from tcg_plugin import build

LAYERS = {
    "learned_abi": -1,
    "trace_abi words varint qemu_abi_v4 qemu_abi_v7": 0,
    "ring dictionary guest values": 1,
    "state opcode": 2,
    "window memory heat loops blocks calls paging direction returns": 3,
    "locked shadow entry": 4,
    "hooks learned": 5,
    "translate": 6,
    "trace_plugin": 7,
    # The codec and the miner.
    "codec": 1,
    "accesses records": 2,
    "matching block_streams begun endings check cycles stacks caches": 3,
    "split": 4,
    "chunks": 5,
}
LAYER = {name: layer for names, layer in LAYERS.items() for name in names.split()}
ABI_VERSIONS = {("qemu_abi_v4", "qemu_abi_v7")}
"""One file in two parts: the common part includes what a version changes."""

DEFINITION = re.compile(
    r"^(?!static|typedef|extern|enum|struct|return|else|#)(?:__attribute__\(\(\w+\)\) )?[a-z][\w ]*?\*?\b(\w+)"
    r"(?:\([^;]*?\)\s*\{|(?:\[\w+\])?(?:, \w+)*(?: = [^;]*)?;)",
    re.MULTILINE,
)
LIST = re.compile(r"^(?!static|typedef|extern|return)[a-z][\w]* \*?(\w+(?:, \w+)+);", re.MULTILINE)
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)


def sources():
    """The text of each C file, without comments, by name and kind."""
    return {path.name: COMMENT.sub("", path.read_text()) for path in sorted(build.FOLDER.glob("*.[ch]"))}


def includes(files):
    """(file, unit included) for each #include of ours."""
    return [
        (name, Path(found).stem)
        for name, text in files.items()
        for found in re.findall(r'^#include "(\w+\.h)"', text, re.MULTILINE)
    ]


def definitions(files):
    """What each C file defines for others: the unit of each function and variable."""
    found = {}
    for name, text in files.items():
        if name.endswith(".c"):
            names = set(DEFINITION.findall(text)) | {each for group in LIST.findall(text) for each in group.split(", ")}
            found |= dict.fromkeys(names, Path(name).stem)
    return found


def uses(files):
    """(file, unit whose function or variable is used) for each use across files."""
    owners = definitions(files)
    seen = {name: reachable(name, files) for name in files if name.endswith(".c")}
    return [
        (name, owners[word])
        for name, text in files.items()
        if name in seen
        # A local variable or a field of the same name is no use: those follow a type, a dot or an arrow.
        for word in set(re.findall(r"(?<![\w.>])[a-z]\w+\b", text)) & owners.keys()
        if owners[word] != Path(name).stem and owners[word] in seen[name]
    ]


def reachable(name, files):
    """Units whose header `name` includes, directly or not."""
    waiting, seen, included = [name], set(), includes(files)
    while waiting:
        one = waiting.pop()
        found = {f"{unit}.h" for file, unit in included if file == one} - seen
        seen |= found
        waiting += found
    return {Path(one).stem for one in seen}


def violations(files):
    """Uses and includes that go sideways or up."""
    return [
        f"{name} uses {unit}"
        for name, unit in sorted({*includes(files), *uses(files)})
        if Path(name).stem != unit
        and LAYER[unit] >= LAYER[Path(name).stem]
        and (Path(name).stem, unit) not in ABI_VERSIONS
    ]


def test_each_c_file_has_a_layer():
    assert {path.stem for path in build.FOLDER.glob("*.[ch]")} == set(LAYER)


def test_the_parser_sees_functions_and_variables():
    owners = definitions(sources())
    assert owners["put_access"] == owners["memory_hook"] == "memory" and owners["on_block"] == "hooks"
    assert owners["rings"] == owners["opened"] == owners["executed"] == "state" and owners["arm"] == "window"
    assert owners["gb_ring_event"] == "ring" and owners["gb_check"] == "check"
    found = set(uses(sources()))
    assert {
        ("hooks.c", "memory"),
        ("trace_plugin.c", "window"),
        ("translate.c", "hooks"),
        ("memory.c", "state"),
    } <= found


def test_files_use_only_lower_layers():
    assert violations(sources()) == []


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("memory.c", '#include "hooks.h"\n'),
        ("window.h", '#include "memory.h"\n'),
        ("state.c", '#include "window.h"\nvoid wrong(void)\n{\n    open_all_rings();\n}\n'),
    ],
)
def test_a_circle_is_found(name, line):
    files = sources()
    files[name] += line
    assert violations(files)
