"""The private QEMU: it runs with nothing of the system's, is put together once, and what is missing is told in a sentence."""

import json
import os
import re
import subprocess
import sys

import pytest
from support import booted, glassbox

from qemu_bridge.errors import HostError
from qemu_bridge.images import suites
from qemu_bridge.machine import debian_qemu
from qemu_bridge.machine.config import find_qemu, qemu_release
from qemu_bridge.machine.debian_qemu import find_or_build_private_qemu, find_private_qemu


def run(*words, **environment):
    command = [sys.executable, "-m", "qemu_bridge.machine.debian_qemu", *words]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, env=os.environ | environment, check=False
    )


def test_it_is_the_release_that_it_is_to_be(qemu11, monkeypatch):
    monkeypatch.setenv("GLASSBOX_QEMU", qemu11)
    assert find_qemu() == qemu11 and qemu_release(qemu11)[0] == debian_qemu.MAJOR


def test_its_loader_finds_every_library_among_its_packages(qemu11):
    root = debian_qemu.private_folder() / "root"
    libraries = root / "usr/lib/x86_64-linux-gnu"
    loader = [libraries / "ld-linux-x86-64.so.2", "--library-path", libraries]
    text = subprocess.run(
        [*loader, "--list", root / "usr/bin" / debian_qemu.PROGRAM], capture_output=True, text=True, check=True
    ).stdout
    found = re.findall(r"^\s(\S+) => (\S+)", text, re.MULTILINE)
    assert len(found) > 20 and [row for row in found if not row[1].startswith(f"{root}/")] == []


def test_a_second_call_changes_nothing_and_fetches_nothing(qemu11):
    before = debian_qemu.private_folder().stat().st_mtime_ns
    answer = run(PATH="/nowhere")
    assert answer.returncode == 0 and answer.stdout.strip() == qemu11 and f"GLASSBOX_QEMU={qemu11}" in answer.stderr
    packages = json.loads(run("--json").stdout)["packages"]
    assert any(name.startswith("libc6_") for name in packages) and all(len(sum) == 64 for sum in packages.values())
    assert debian_qemu.private_folder().stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("environment", "reason"),
    [({"PATH": "/nowhere"}, "apt-get is not on this machine"), ({"XDG_CACHE_HOME": "/proc"}, "No such file")],
    ids=["no apt", "no cache"],
)
def test_what_is_missing_is_told_in_a_sentence_with_the_way_out(environment, reason, tmp_path):
    answer = run(**{"XDG_CACHE_HOME": str(tmp_path)} | environment)
    assert answer.returncode == 1 and not answer.stdout
    assert reason in answer.stderr and "GLASSBOX_QEMU" in answer.stderr and "Traceback" not in answer.stderr
    assert not [path for path in tmp_path.rglob("*") if path.name != "lock" and path.is_file()], "no draft is left"


def test_a_mirror_that_cannot_be_reached_is_told_in_a_sentence(tmp_path, monkeypatch):
    if not suites.KEYRING.exists():
        pytest.skip("no keys of Debian")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(suites, "find_mirror", lambda: "copy:/nowhere")
    with pytest.raises(HostError, match=r"apt-get update .*; mend that and run 'just qemu11' again"):
        find_or_build_private_qemu(lambda line: None)
    assert find_private_qemu() is None


@pytest.mark.parametrize(
    ("name", "wrong"),
    [("1%3a11.1.3+ds-1", None), ("1%3a11.9+ds-1", "has QEMU 11.9 now"), ("1%3a10.0+ds-1", "has QEMU 10.0 now")],
)
def test_another_release_is_not_taken_for_it(name, wrong, tmp_path):
    packages = [tmp_path / "libc6_2.41-12_amd64.deb", tmp_path / f"qemu-system-x86_{name}_amd64.deb"]
    if wrong is None:
        debian_qemu.check_release(packages)
    else:
        with pytest.raises(debian_qemu.Unavailable, match=wrong):
            debian_qemu.check_release(packages)


def test_the_doctor_says_which_qemu_and_which_plugin_interface(qemu11, monkeypatch):
    monkeypatch.setenv("GLASSBOX_QEMU", qemu11)
    rows = {row["name"]: row for row in json.loads(glassbox("doctor", "--json").stdout)}
    assert rows["qemu"]["ok"] and rows["qemu"]["detail"] == (
        f"{qemu11}, release 11.1, plugin API 7: plugins may read registers, write registers, write memory, set the program counter"
    )
    assert rows["trace plugin"]["ok"] and rows["trace plugin"]["detail"].endswith("glassbox_trace_v7.so")


@pytest.mark.guest
def test_a_guest_boots_on_it_and_is_seen_from_outside(qemu11, image, monkeypatch):
    monkeypatch.setenv("GLASSBOX_QEMU", qemu11)
    with booted("eleven", image) as machine:
        assert "11.1" in machine.client.qmp("query-version")["package"]
        assert machine.exec("cat /proc/1/comm").decode().strip() == "init"
        assert {process.pid: process.name for process in machine.processes()}[1] == "init"
        status = machine.client.trace_status()
        assert status.plugin_api == 7 and not status.error
