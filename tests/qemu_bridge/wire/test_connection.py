"""Connection files: found, locked, refused, and swept up after a daemon that died."""

import fcntl
import json
import os
import stat
import subprocess

import pytest
from support import glassbox

from qemu_bridge.errors import BusyNameError, HostError, UnknownMachineError, UsageError
from qemu_bridge.wire import connection
from qemu_bridge.wire.connection import Connection
from qemu_bridge.wire.records import Origin


@pytest.fixture
def runtime(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("GLASSBOX_RAM_DIR", str(tmp_path))
    return connection.runtime_folder()


def describe(name, folder, **changes):
    fields = {
        "name": name,
        "state": "running",
        "daemon_pid": 1,
        "control": f"ipc://{folder}/{name}.control",
        "events": f"ipc://{folder}/{name}.events",
        "ram_path": str(folder / f"{connection.shared_prefix()}{name}.ram"),
        "regions": ((0, 0, 4096),),
        "page_map_path": str(folder / f"{connection.shared_prefix()}{name}.pages"),
        "qmp_path": "",
        "console_path": "",
        "log_path": "",
        "machine": "pc",
        "accelerator": "tcg",
    }
    return Connection(**fields | changes)


def test_a_connection_survives_its_file(runtime):
    lock = connection.acquire_lock("demo")
    written = describe("demo", runtime, argv=("qemu", "-m"))
    connection.write_connection(written)
    assert connection.find_connection("demo") == written
    assert connection.iter_connections() == [written]
    connection.write_connection(describe("demo", runtime, origin=Origin.CAPTURE))
    assert not connection.iter_connections() and len(connection.iter_connections(captures=True)) == 1
    os.close(lock)


def test_files_and_folder_are_closed_to_others(runtime):
    connection.write_connection(describe("demo", runtime))
    assert stat.S_IMODE((runtime / "demo.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(runtime.stat().st_mode) == 0o700


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_folders_are_closed_to_others_whatever_the_umask(tmp_path, monkeypatch, umask):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "of" / "state"))
    before = os.umask(umask)
    try:
        made = [connection.runtime_folder(), connection.state_folder("demo")]
    finally:
        os.umask(before)
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*")} == {0o700} and made[1].name == "demo"
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "of/state/glassbox/other").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(HostError, match="for logs is not a folder of yours"):
        connection.state_folder("other")


def test_a_name_is_taken_while_its_lock_is_held(runtime):
    lock = connection.acquire_lock("demo")
    with pytest.raises(BusyNameError, match="glassbox stop demo"):
        connection.acquire_lock("demo", patience_s=0)
    os.close(lock)
    os.close(connection.acquire_lock("demo", patience_s=0))


def test_one_who_looks_does_not_turn_away_a_daemon(runtime):
    os.close(connection.acquire_lock("demo"))
    looking = os.open(runtime / "demo.lock", os.O_RDWR)
    fcntl.flock(looking, fcntl.LOCK_SH)
    with pytest.raises(BusyNameError):
        connection.acquire_lock("demo", patience_s=0)
    os.close(looking)
    os.close(connection.acquire_lock("demo"))


@pytest.mark.parametrize("name", ["", "a/b", "..", "-x", "a" * 41, "ä", "a b", "a\n"])
def test_what_cannot_name_a_machine_is_refused(name, runtime):
    with pytest.raises(UsageError, match="is not a valid machine name"):
        connection.find_connection(name)


def test_a_runtime_folder_too_deep_for_sockets_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / ("d" * 100)))
    with pytest.raises(UsageError, match="too long"):
        connection.validate_name("demo")


def test_a_runtime_folder_that_cannot_be_made_is_an_error_in_words(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "file"))
    with pytest.raises(HostError, match="XDG_RUNTIME_DIR"):
        connection.runtime_folder()


def test_an_unknown_machine_names_those_that_run_and_how_it_ended(runtime):
    with pytest.raises(UnknownMachineError, match="glassbox start nobody"):
        connection.find_connection("nobody")
    lock = connection.acquire_lock("demo")
    connection.write_connection(describe("demo", runtime))
    connection.write_exit("gone", "QEMU was killed by SIGKILL")
    with pytest.raises(UnknownMachineError, match=r"SIGKILL.*running: demo"):
        connection.find_connection("gone")
    os.close(lock)


@pytest.mark.parametrize("status", [0, 1, -9, None])
def test_how_a_machine_ended_is_kept_with_its_status(runtime, status):
    assert (connection.read_exit("gone"), connection.read_exit_status("gone")) == ("", None)
    connection.write_exit("gone", "QEMU ended:\nof two lines", status)
    assert (connection.read_exit("gone"), connection.read_exit_status("gone")) == ("QEMU ended: of two lines", status)


def test_another_protocol_is_refused(runtime):
    lock = connection.acquire_lock("demo")
    connection.write_connection(describe("demo", runtime, protocol=99))
    with pytest.raises(UsageError, match="speaks protocol 99"):
        connection.find_connection("demo")
    os.close(lock)


def test_prune_ends_the_qemu_of_a_dead_daemon_and_removes_its_files(runtime):
    sleeper = subprocess.Popen(["sleep", "60"])
    found = describe("dead", runtime, qemu_pid=sleeper.pid, qemu_started=connection.process_started(sleeper.pid))
    for path in (found.ram_path, found.page_map_path):
        open(path, "w").close()
    connection.write_connection(found)
    assert connection.prune() == ["dead"]
    assert sleeper.wait(10) == -9
    assert not list(runtime.glob(f"{connection.shared_prefix()}*")) and not (runtime / "dead.json").exists()
    assert connection.prune() == []


def test_prune_spares_the_living_and_a_reused_pid(runtime):
    lock = connection.acquire_lock("alive")
    connection.write_connection(describe("alive", runtime))
    connection.write_connection(describe("dead", runtime, qemu_pid=os.getpid(), qemu_started=1))
    assert connection.prune() == ["dead"]
    assert [found.name for found in connection.iter_connections()] == ["alive"]
    os.close(lock)


def test_prune_removes_nothing_that_is_not_named_as_ours(runtime, tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("keep me")
    connection.write_connection(describe("evil", runtime, ram_path=str(precious)))
    connection.prune()
    assert precious.read_text() == "keep me"


def test_prune_finds_shared_files_whose_connection_file_is_gone(runtime, tmp_path):
    gone = subprocess.Popen(["true"])
    gone.wait()
    orphan = tmp_path / f"{connection.shared_prefix()}lost-{gone.pid}.ram"
    orphan.touch()
    other = tmp_path / f"glassbox-{os.getuid() + 1}-lost-{gone.pid}.ram"
    other.touch()
    connection.prune()
    assert not orphan.exists() and other.exists()


def test_a_link_in_place_of_the_runtime_folder_is_not_followed(tmp_path, monkeypatch):
    target = tmp_path / "target"
    target.mkdir(mode=0o755)
    (tmp_path / "run").mkdir()
    (tmp_path / "run/glassbox").symlink_to(target)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    with pytest.raises(HostError, match="not a folder of yours"):
        connection.runtime_folder()
    assert stat.S_IMODE(target.stat().st_mode) == 0o755


def test_relative_folders_are_passed_over(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_RUNTIME_DIR", "here")
    monkeypatch.setenv("GLASSBOX_RAM_DIR", "there")
    assert connection.runtime_folder().is_absolute() and str(connection.ram_folder()) == "/dev/shm"
    assert not (tmp_path / "here").exists()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"name": "x"}', json.dumps({"qemu_pid": "x"})])
def test_prune_sweeps_a_file_that_makes_no_sense(content, runtime):
    (runtime / "odd.json").write_text(content)
    connection.prune()
    assert not (runtime / "odd.json").exists()


@pytest.mark.guest
def test_a_machine_of_another_runtime_folder_is_said_to_run_and_where(machine, tmp_path):
    own = os.environ.get("XDG_RUNTIME_DIR", "")
    answer = glassbox("ps", machine.name, XDG_RUNTIME_DIR=str(tmp_path))
    assert answer.returncode == 2 and "was stopped" not in answer.stderr
    assert (f"set XDG_RUNTIME_DIR={own} " if own else "unset XDG_RUNTIME_DIR") in answer.stderr
    assert "glassbox start" in glassbox("ps", "no-such", XDG_RUNTIME_DIR=str(tmp_path)).stderr
