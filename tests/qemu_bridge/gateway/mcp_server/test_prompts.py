"""Prompts have their arguments, and name tools that exist."""

from __future__ import annotations

import re

import pytest

from qemu_bridge.errors import UsageError
from qemu_bridge.gateway.mcp_server.prompts import PROMPTS
from qemu_bridge.gateway.mcp_server.resources import KINDS
from qemu_bridge.gateway.mcp_server.tools import make_tools
from qemu_bridge.wire.operations import Permission


@pytest.mark.parametrize("prompt", PROMPTS.values(), ids=lambda prompt: prompt.name)
def test_a_prompt_is_filled_with_what_it_asks_for_and_names_tools_that_exist(prompt):
    given = {name: f"<{name}>" for name in prompt.arguments}
    text = prompt.fill(given)
    assert all(value in text for value in given.values())
    tools = set(make_tools({Permission.READ}))
    named = {word for word in re.findall(r"`([a-z_]+)`", text) if word not in ("at",)}
    assert named and named <= tools
    assert all(kind in KINDS for kind in re.findall(r"resource ([a-z-]+)", text))


def test_a_missing_argument_is_named():
    with pytest.raises(UsageError, match="needs process"):
        PROMPTS["show_process_memory"].fill({})
