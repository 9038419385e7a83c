"""The server, asked by the package's own client over standard streams and over HTTP."""

from __future__ import annotations

import asyncio
import json
import os
import sys

import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from serving import serving_models

pytestmark = pytest.mark.guest


def streams(*words):
    command = ["-m", "qemu_bridge.cli", "mcp", *words]
    return Client(StdioServerParameters(command=sys.executable, args=command, env=dict(os.environ)))


async def look_around(client, name):
    """What every client must get, whatever it speaks over."""
    tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert "pid" in tools["maps"].description or "process" in tools["maps"].description
    assert tools["ps"].annotations.read_only_hint and "pause" not in tools
    answer = await client.call_tool("ps", {"limit": 3})
    assert not answer.is_error and answer.structured_content["value"][0]["name"] == "init"
    assert json.loads(answer.content[0].text) == answer.structured_content
    wrong = await client.call_tool("maps", {"pid": 4_000_000})
    assert wrong.is_error and wrong.content[0].text.startswith("UsageError: ")
    assert (await client.call_tool("pause", {})).is_error
    uris = {str(resource.uri) for resource in (await client.list_resources()).resources}
    assert f"glassbox://{name}/page-map" in uris
    found = await client.read_resource(f"glassbox://{name}/page-map")
    assert json.loads(found.contents[0].text)["classes"]
    assert len((await client.list_resource_templates()).resource_templates) == 3
    with pytest.raises(MCPError, match="nothing is at"):
        await client.read_resource("glassbox://nowhere")
    prompts = {prompt.name for prompt in (await client.list_prompts()).prompts}
    assert "show_process_memory" in prompts
    filled = await client.get_prompt("show_process_memory", {"process": "crond"})
    assert "crond" in filled.messages[0].content.text
    with pytest.raises(MCPError, match="needs process"):
        await client.get_prompt("show_process_memory", {})


def test_a_client_on_standard_streams_looks_around(machine):
    async def talk():
        async with streams(machine.name) as client:
            await look_around(client, machine.name)
            assert machine.client.status().runstate == "running"

    asyncio.run(talk())


def test_a_client_over_http_looks_around_and_a_stranger_gets_nothing(machine):
    async def talk(url, token):
        async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=60) as http:
            async with Client(streamable_http_client(url, http_client=http)) as client:
                await look_around(client, machine.name)
            evil = await http.post(url, headers={"Origin": "http://evil.example"}, json={})
            assert evil.status_code == 403
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": token}):
            async with httpx2.AsyncClient(headers=headers, timeout=60) as http:
                for method, path in (("POST", url), ("GET", url), ("GET", url.removesuffix("mcp"))):
                    answer = await http.request(method, path)
                    assert answer.status_code == 401 and "Glass" not in answer.text

    with serving_models(machine.name) as (url, token):
        asyncio.run(talk(url, token))


def test_control_and_writing_are_offered_only_if_they_are_allowed(machine):
    async def talk():
        async with streams(machine.name, "--allow-control") as client:
            names = {tool.name for tool in (await client.list_tools()).tools}
            assert {"pause", "resume", "capture"} <= names and not {"exec", "qmp"} & names
            try:
                assert not (await client.call_tool("pause", {})).is_error
                assert machine.client.status().runstate == "paused"
            finally:
                machine.client.resume()
        async with streams(machine.name, "--allow-write") as client:
            answer = await client.call_tool("exec", {"command": "echo $((6 * 7))"})
            assert bytes.fromhex(answer.structured_content["output"]) == b"42\n"

    asyncio.run(talk())
