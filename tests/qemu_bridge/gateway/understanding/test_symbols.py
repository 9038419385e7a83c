"""Questions about symbols and structs."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("question", "command"),
    [
        ("fields of mm_struct", "call demo type_layout name=mm_struct"),
        ("address of jiffies", "sym demo jiffies"),
        ("what is init_task", "identify demo init_task"),
        ("symbols starting with tcp_", "call demo find_symbols 'part=tcp_*'"),
        ("address of nosuch_symbol", ""),
    ],
)
def test_a_question_means_a_command(question, command, asked):
    assert (asked(question) or "") == command
