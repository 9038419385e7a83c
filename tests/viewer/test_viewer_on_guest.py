"""The picture of a real guest: every voxel, the snapshot, the window while the guest runs, the whole main job."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from listening import attached, own_keys, trust
from PIL import Image
from support import OUT, booted, glassbox, virtual_display, wait_until

from qemu_bridge.errors import MachineError, NotBootedError
from qemu_bridge.wire.records import PageClass
from viewer.render.dense_grid import VoxelGrid
from viewer.render.pool import PagePool
from viewer.render.scene import Scene
from viewer.sources.machine import MachineSource
from viewer.sources.source import MemoryOnlySource
from viewer.sources.watcher import MemoryWatcher
from viewer.view.curve import to_xyz
from viewer.view.palette import MATERIALS

pytestmark = pytest.mark.guest

needs_display = pytest.mark.skipif(
    not (shutil.which("Xvfb") and shutil.which("xdotool")), reason="Xvfb or xdotool is missing"
)
CHUNK = 1 << 21


def read_picture(path):
    return np.asarray(Image.open(path).convert("RGB")).astype(np.int16)


def count_of_class(picture, page_class):
    """Pixels whose hue is that of a class: its colour in some light."""
    colour = np.array(MATERIALS[page_class].colour, np.float64)
    norm = np.linalg.norm(picture, axis=2)
    alike = (picture @ (colour / np.linalg.norm(colour))) / np.maximum(norm, 1)
    return int(np.count_nonzero((alike > 0.995) & (norm > 80)))


@pytest.mark.long
@pytest.mark.parametrize("kind", [PagePool, VoxelGrid])
def test_every_voxel_of_a_guest_equals_skillings_reference(machine, device, kind):
    grid = kind(device, machine.ram.size)
    with machine.paused():
        pages = np.flatnonzero(machine.ram.resident_pages())
        grid.update(machine.ram.view, pages)
        voxels = grid.read_voxels()
        assert voxels.size == machine.ram.size == 1 << 27
        for start in range(0, voxels.size, CHUNK):
            touched = pages[(pages >= start >> 12) & (pages < start + CHUNK >> 12)]
            expected = np.zeros(CHUNK, np.uint8)
            for page in touched.tolist():
                expected[(page << 12) - start : (page + 1 << 12) - start] = machine.ram.pages()[page]
            x, y, z = to_xyz(np.arange(start, start + CHUNK, dtype=np.uint64), grid.order).T
            assert np.array_equal(voxels[z, y, x], expected), hex(start)


class Watched(MemoryOnlySource):
    """A machine as the watcher wants it; its page map is not what is tested."""

    title = "watched"

    def __init__(self, ram):
        self.ram = ram

    def page_map(self):
        raise NotBootedError("nobody asks here; wait")


def test_what_a_program_writes_shows_within_two_frames(machine, device):
    scene, news = Scene(device, machine.ram.size), threading.Event()
    watcher = MemoryWatcher(Watched(machine.ram), news.set)

    def frame():
        pages, written = watcher.take_changes(4 << 20)
        scene.update_pages(machine.ram.view, pages, written, time.monotonic())
        return len(pages)

    watcher.start()
    try:
        wait_until(lambda: not (frame() or watcher.backlog() or not watcher.is_following))
        machine.exec("head -c 262144 /dev/zero | tr '\\000' 'Q' > /tmp/pattern")
        with machine.paused():
            resident = np.flatnonzero(machine.ram.resident_pages())
            expected = resident[(machine.ram.pages()[resident] == ord("Q")).all(axis=1)]
            assert len(expected) >= 64
            wait_until(lambda: watcher.backlog() >= len(expected))
            time.sleep(0.6)  # a whole round over RAM
            frame(), frame()
            voxels = scene.pool.read_voxels()
            x, y, z = 16 * to_xyz(expected, scene.page_order).astype(int).T
            for corner in zip(z, y, x, strict=True):
                brick = voxels[tuple(slice(low, low + 16) for low in corner)]
                assert (brick == ord("Q")).all()
            assert (scene.page_style.heat.brightness(expected) > 0).all()
    finally:
        watcher.stop()
        machine.exec("rm /tmp/pattern")


def test_what_a_guest_wrote_glows_white_and_fades_while_it_runs_on(machine, open_screen):
    with MachineSource(machine.name) as source:
        screen = open_screen(source)
        following = lambda: screen.state.watcher.is_following and not screen.state.watcher.backlog()  # noqa: E731
        screen.draw_until(following)

        def count_of_white():
            return int(np.count_nonzero(screen.draw()[28:-28, 240:].min(axis=2) > 215))

        try:
            before = count_of_white()

            def glows_after_a_write():
                machine.exec("dd if=/dev/urandom of=/tmp/glow bs=1M count=8 2>/dev/null")
                return count_of_white() > before + 3000

            # On a busy machine a glow may be over before a frame is drawn: written again until one shows it.
            screen.draw_until(glows_after_a_write)
            screen.draw_until(lambda: count_of_white() < before + 1000)
        finally:
            machine.exec("rm /tmp/glow")
            screen.window.stop()


def test_snap_shows_the_kernel_page_tables_and_processes(machine, tmp_path):
    path = tmp_path / "picture.png"
    answer = glassbox("snap", machine.name, "-o", str(path), "--size", "960x540", DISPLAY="")
    assert answer.returncode == 0, answer.stderr
    picture = read_picture(path)
    assert picture.shape == (540, 960, 3)
    for page_class in (PageClass.KERNEL_TEXT, PageClass.KERNEL_DATA, PageClass.PAGE_TABLE, PageClass.PROCESS_TEXT):
        # Debian 13's kernel has 251 pixels of data here, Debian 12's more than 300.
        assert count_of_class(picture, page_class) > 200, page_class


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--size", "0x0"], "0x0"),
        (["--size", "huge"], "huge"),
        (["--camera", "yaw=up"], "'up'"),
        (["-o", "/nowhere/at/all.png"], "/nowhere/at/all.png"),
    ],
)
def test_snap_refuses_nonsense_in_one_line(machine, tmp_path, words, sentence):
    answer = glassbox("snap", machine.name, "-o", str(tmp_path / "x.png"), *words)
    assert answer.returncode in (1, 2) and sentence in answer.stderr
    assert len(answer.stderr.strip().splitlines()) == 1


def test_snap_without_a_vulkan_adapter_says_what_to_install(machine, tmp_path):
    answer = glassbox(
        "snap", machine.name, "-o", str(tmp_path / "x.png"), VK_ICD_FILENAMES="/nowhere", VK_DRIVER_FILES="/nowhere"
    )
    assert answer.returncode == 1
    assert "mesa-vulkan-drivers" in answer.stderr and len(answer.stderr.strip().splitlines()) == 1


def test_run_does_the_whole_job_and_cleans_up(tmp_path):
    answer = glassbox("run", "-o", str(tmp_path / "out"), "--no-window")
    assert answer.returncode == 0, answer.stderr
    assert "init" in (tmp_path / "out/processes.txt").read_text() and "syslogd" in answer.stdout
    assert count_of_class(read_picture(tmp_path / "out/memory.png"), PageClass.KERNEL_TEXT) > 1000
    assert "demo" not in glassbox("status").stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_run_cleans_up_when_it_is_told_to_end(number, tmp_path):
    command = [sys.executable, "-m", "qemu_bridge.cli", "run", "-o", str(tmp_path), "--no-window"]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: "demo" in glassbox("status").stdout)
    time.sleep(1)
    running.send_signal(number)
    _, talk = running.communicate(timeout=120)
    assert "Traceback" not in talk and running.returncode == 130
    assert "demo" not in glassbox("status").stdout


class Screen:
    """A window on a machine, on a display."""

    def __init__(self, name, display):
        self.environment = os.environ | {"DISPLAY": display}
        command = [sys.executable, "-m", "qemu_bridge.cli", "view", name, "--size", "640x480"]
        self.viewer = subprocess.Popen(command, env=self.environment, stderr=subprocess.PIPE, text=True)

    def title(self):
        command = ["xdotool", "search", "--name", "Glass Box", "getwindowname"]
        return subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=30, check=False
        ).stdout.strip()

    def grab(self, path):
        subprocess.run(["import", "-window", "root", str(path)], env=self.environment, check=True, timeout=60)
        return read_picture(path)

    def press(self, key):
        subprocess.run(["xdotool", "key", key], env=self.environment, check=True, timeout=30)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.viewer.kill()
        self.viewer.wait()
        self.viewer.stderr.close()


@needs_display
@pytest.mark.window
def test_a_window_follows_the_guest_until_it_ends(image, tmp_path, display):
    with booted("watched", image) as found, Screen("watched", display) as screen:
        found.client.pause()
        wait_until(lambda: "idle" in screen.title())
        before = screen.grab(tmp_path / "before.png")
        assert count_of_class(before, PageClass.KERNEL_TEXT) > 300
        found.client.resume()
        # 24 MiB of pages that were air a moment ago.
        found.exec("dd if=/dev/urandom of=/tmp/filler bs=1M count=24 2>/dev/null")
        found.client.pause()
        time.sleep(3)
        wait_until(lambda: "idle" in screen.title())
        after = screen.grab(tmp_path / "after.png")
        changed = np.abs(after - before).max(axis=2) > 12
        assert np.count_nonzero(changed[:, 250:]) > 2000
        found.client.stop()
        wait_until(lambda: "machine gone" in screen.title())
        assert screen.viewer.poll() is None
        screen.press("q")
        assert screen.viewer.wait(timeout=120) == 0


@needs_display
@pytest.mark.window
@pytest.mark.long
def test_two_windows_on_one_machine_and_one_killed(machine, display):
    with (
        virtual_display("800x600") as other,
        Screen(machine.name, display) as first,
        Screen(machine.name, other) as second,
    ):
        for screen in (first, second):
            wait_until(lambda screen=screen: "Glass Box" in screen.title())
        first.viewer.kill()
        first.viewer.wait()
        assert machine.client.status().runstate == "running"
        second.press("q")
        assert second.viewer.wait(timeout=120) == 0, second.viewer.stderr.read()


def test_a_machine_that_dies_while_it_is_drawn_is_one_line(image, tmp_path):
    with booted("dying", image) as found:
        command = [sys.executable, "-m", "qemu_bridge.cli", "snap", "dying", "-o", str(tmp_path / "x.png")]
        snapping = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        time.sleep(0.5)
        os.kill(found.client.status().qemu_pid, 9)
        _, talk = snapping.communicate(timeout=120)
        assert "Traceback" not in talk
        assert snapping.returncode == 0 or (snapping.returncode in (1, 2) and len(talk.strip().splitlines()) == 1), talk
        with pytest.raises(MachineError):
            found.client.status()


@pytest.mark.parametrize(
    ("number", "is_from_terminal"), [(signal.SIGINT, True), pytest.param(signal.SIGTERM, False, marks=pytest.mark.long)]
)
def test_a_video_that_is_interrupted_keeps_what_was_recorded(machine, tmp_path, number, is_from_terminal):
    av = pytest.importorskip("av")
    film = tmp_path / "long.mp4"
    words = ["record-video", machine.name, "-o", str(film), "--seconds", "600", "--size", "320x180"]
    ours, terminal = os.openpty()
    command = [sys.executable, "-m", "qemu_bridge.cli", *words]
    with subprocess.Popen(command, stderr=terminal, start_new_session=True) as running:
        os.close(terminal)
        with os.fdopen(ours, "rb", buffering=0) as talk:
            told = b""
            while b"frame 5 of" not in told:
                told += talk.read(4096)
            # A terminal signals the whole group, the process that draws too; others the verb alone.
            (os.killpg if is_from_terminal else os.kill)(running.pid, number)
            assert running.wait(60) == 130
    assert list(tmp_path.iterdir()) == [film]
    with av.open(str(film)) as file:
        assert sum(1 for _ in file.decode(video=0)) >= 5


@needs_display
@pytest.mark.window
@pytest.mark.long
def test_a_window_on_a_machine_elsewhere_follows_its_guest(machine, display, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    own_keys("control")
    with (
        attached("elsewhere", qmp=Path(machine.client.connection.qmp_path)) as found,
        Screen(trust(found), display) as screen,
    ):
        with machine.paused():
            wait_until(lambda: "idle" in screen.title())
            before = screen.grab(OUT / "elsewhere.png")

        def has_changed():
            return np.count_nonzero(np.abs(screen.grab(OUT / "elsewhere.png") - before).max(axis=2) > 12) > 2000

        machine.exec("head -c 8388608 /dev/urandom > /tmp/written")
        wait_until(has_changed)
        machine.exec("rm /tmp/written")
        screen.press("q")
        assert screen.viewer.wait(timeout=120) == 0, screen.viewer.stderr.read()
