"""A daemon's life, from what it is told on standard input to the files that it leaves: none."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support import shared_files

from qemu_bridge.machine.config import MachineConfig
from qemu_bridge.machine.requests import AttachRequest, StartRequest, encode_request
from qemu_bridge.wire import connection


def serve(text):
    """What a daemon answers to `text` on its standard input, and its exit status."""
    done = subprocess.run(
        [sys.executable, "-m", "qemu_bridge.daemon"],
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def record(name, **fields):
    config = MachineConfig(name, **{"memory": 1 << 20, "qemu_args": ("-S",)} | fields)
    return encode_request(StartRequest(config, "/bin/false", no_plugin="none here")).decode()


def test_a_qemu_that_does_not_start_leaves_nothing_behind():
    status, (answer,) = serve(record("lifeless"))
    assert status == 1 and answer["ok"] is False and answer["kind"] == "MachineError"
    assert "QEMU did not start" in answer["message"]
    assert not connection.is_alive("lifeless") and not shared_files("lifeless")
    assert not list(connection.runtime_folder().glob("lifeless.*"))


def test_a_name_that_is_taken_is_refused_before_anything_is_made():
    lock = connection.acquire_lock("taken")
    try:
        status, (answer,) = serve(record("taken"))
    finally:
        os.close(lock)
    assert status == 1 and answer["kind"] == "BusyNameError" and not shared_files("taken")


def test_ram_that_has_no_space_is_refused_before_anything_is_made():
    status, (answer,) = serve(record("huge", memory=1 << 50))
    assert status == 1 and answer["kind"] == "HostError" and not shared_files("huge")


@pytest.mark.parametrize(
    "attach", [{"ram": Path("/nowhere")}, {"qmp": Path("/nowhere")}, {"capture": Path("/nowhere")}]
)
def test_what_cannot_be_attached_to_leaves_nothing_behind(attach):
    status, (answer,) = serve(encode_request(AttachRequest("nothing", **attach)).decode())
    assert status == 2 and answer["kind"] == "UsageError" and ";" in answer["message"]
    assert not connection.is_alive("nothing") and not shared_files("nothing")


def test_a_daemon_that_cannot_end_ends_at_its_limit_and_says_where_it_stood(tmp_path):
    program = """
import ctypes
from qemu_bridge.daemon import lifecycle
lifecycle.END_LIMIT_S = 0.2
lifecycle._limit_end()
def stand():
    ctypes.PyDLL(None).pause()  # in C, with the interpreter's lock held
stand()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1 and "in stand" in done.stderr
