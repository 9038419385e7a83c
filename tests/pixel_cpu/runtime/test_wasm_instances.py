"""State of instances, as their module says."""

import pytest
from wasm_texts import assemble

import pixel_cpu as px
from pixel_cpu.errors import TrapError, UsageError

DEVICE = px.Device("reference", isolated=False)


def test_instances_begin_with_what_segments_and_globals_say():
    text = '(module (memory 1 2) (data (i32.const 3) "ab") (global (export "g") (mut i32) (i32.const 7)))'
    instances = px.wasm(assemble(text)).instances(2, device=DEVICE)
    assert bytes(instances.memory[1, :6]) == b"\0\0\0ab\0" and instances.pages.tolist() == [1, 1]
    assert instances.buffers["global0"].tolist() == [7, 7]


def test_segments_that_do_not_fit_and_memory_that_is_not_there_are_named():
    with pytest.raises(TrapError, match="out of bounds memory access"):
        px.wasm(assemble('(module (memory 1) (data (i32.const 65535) "ab"))')).instances(1, device=DEVICE)
    with pytest.raises(UsageError, match="no memory"):
        px.wasm(assemble("(module)")).instances(1, device=DEVICE).memory  # noqa: B018
