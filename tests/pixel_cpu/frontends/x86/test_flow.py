"""Control flow of loops: nodes, order, dominators, exits."""

from __future__ import annotations

from x86_loops import CRC32, HEAD, flow_of, machine_loop

from pixel_cpu.frontends.x86.flow import Exit


def test_a_loop_with_one_exit():
    flow = flow_of(CRC32)
    assert [place[0] for place in flow.order] == [HEAD, HEAD + 5] and flow.headers == {(HEAD, 0)}
    assert Exit(HEAD + 0x19) in flow.nodes[HEAD, 0].targets


def test_ways_that_meet_have_a_merge_behind_their_dominator():
    # head: je a; inc eax; jmp b; a: dec eax; b: dec ecx; jnz head
    flow = flow_of(machine_loop("7404", "ffc0", "eb02", "ffc8", "ffc9", "75f4"))
    merge = (HEAD + 8, 0)
    assert flow.merges(flow.head) == [merge] and flow.dominator[merge] == flow.head
    assert flow.dominates(flow.head, merge) and not flow.dominates((HEAD + 2, 0), merge)
    assert flow.is_backward(merge, flow.head) and not flow.is_backward((HEAD + 2, 0), merge)


def test_a_repeated_instruction_is_a_loop_of_its_own():
    flow = flow_of(machine_loop("90", "f3a4", "ffc9", "75f9"))
    assert flow.headers == {(HEAD, 0), (HEAD + 1, 0)}


def test_a_conditional_move_does_not_branch():
    flow = flow_of(machine_loop("480f42d6", "ffc9", "75f8"))
    assert len(flow.order) == 2 and any(node.selected for node in flow.nodes.values())
    # A store must not happen where the program does not come.
    assert not any(node.selected for node in flow_of(machine_loop("f3aa", "ffc9", "75fa")).nodes.values())
