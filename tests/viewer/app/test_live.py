"""A live picture: commands in, pictures and messages out, on made-up memory."""

import io
import json
import struct
import subprocess
import sys
import threading

import numpy as np
import pytest
from PIL import Image
from support import wait_until
from synthetic import Mortal

from qemu_bridge.errors import MachineGoneError
from qemu_bridge.wire import live_records as wire
from viewer.app.live import LivePicture


class Screen:
    """What came, with the picture running on a thread; each picture is acknowledged unless told otherwise."""

    def __init__(self, *sources):
        self.pictures, self.messages = [], []
        self.is_slow = False
        self.live = LivePicture(sources, self._take)
        self._thread = threading.Thread(target=self.run)
        self._thread.start()

    def run(self):
        self.live.run()

    def _take(self, kind, content):
        if kind == wire.MESSAGE:
            self.messages.append(json.loads(content))
            return
        self.pictures.append(np.asarray(Image.open(io.BytesIO(content))))
        if not self.is_slow:
            self.live.put(wire.Drawn())

    def heard(self, say):
        return [message for message in self.messages if message["say"] == say]

    def close(self):
        self.live.put(None)
        self._thread.join(60)
        assert not self._thread.is_alive()


@pytest.fixture
def screen(source, device):
    found = Screen(source)
    yield found
    found.close()


def test_it_is_drawn_turned_picked_and_explained(screen):
    put = screen.live.put
    put(wire.Resize(240, 160))
    wait_until(lambda: len(screen.pictures) >= 4)
    still = screen.pictures[-1]
    assert still.shape == (160, 240, 3) and still.std() > 5
    assert {colour["label"] for colour in screen.heard("legend")[-1]["colours"]} >= {"kernel text", "process heap"}
    count = len(screen.pictures)
    put(wire.Drag(0.2, 0.1))
    wait_until(lambda: len(screen.pictures) >= count + 6)
    assert np.abs(screen.pictures[-1].astype(int) - still).mean() > 1
    put(wire.Pick(0.5, 0.5))
    wait_until(lambda: screen.heard("picked"))
    picked = screen.heard("picked")[-1]
    assert picked["what"] and len(picked["content"]) == 32 and picked["physical"] is None
    put(wire.Look("mode=entropy"))
    wait_until(lambda: screen.heard("legend")[-1]["title"] == "entropy of its bytes")
    assert screen.heard("legend")[-1]["colours"][0]["size_bytes"] is None


def test_what_cannot_be_done_is_told_and_the_picture_goes_on(screen):
    screen.live.put(wire.Resize(120, 90))
    for command in (wire.Look("mode=x"), wire.Show("pid:1"), wire.Select(1 << 40)):
        screen.live.put(command)
    wait_until(lambda: len(screen.heard("problem")) == 3 and screen.pictures)
    assert not any(problem["is_end"] for problem in screen.heard("problem"))


def test_who_is_slow_gets_no_second_picture(screen):
    screen.is_slow = True
    screen.live.put(wire.Resize(120, 90))
    wait_until(lambda: screen.pictures)
    screen.live.put(wire.Look("mode=owner"))
    screen.live.put(wire.Pick(0.0, 0.0))
    wait_until(lambda: screen.heard("picked"))
    assert len(screen.pictures) == 1, "a command is obeyed, and no picture sent before the last one was shown"
    assert screen.heard("picked")[0]["ram_offset"] is None
    screen.is_slow = False
    screen.live.put(wire.Drawn())
    wait_until(lambda: len(screen.pictures) > 2)


def test_a_narrow_picture_shows_what_a_wide_one_did(screen):
    screen.live.put(wire.Resize(200, 100))
    wait_until(lambda: screen.heard("legend"))
    screen.live.put(wire.Drag(0.1, 0.0))
    wait_until(lambda: len(screen.heard("legend")) > 1)
    before = distance(screen)
    screen.live.put(wire.Resize(100, 200))
    wait_until(lambda: distance(screen) == pytest.approx(2 * before, rel=0.01))


def distance(screen):
    return float(screen.heard("legend")[-1]["view"].split("distance=")[1].split(",")[0])


@pytest.fixture
def pair(device):
    sources = Mortal("one"), Mortal("other")
    found = Screen(*sources)
    found.sources = sources
    yield found
    found.close()


def cubes(screen):
    return {cube["name"]: cube for cube in screen.heard("several")[-1]["cubes"]}


def pick(screen, x, y):
    count = len(screen.heard("picked"))
    screen.live.put(wire.Pick(x, y))
    wait_until(lambda: len(screen.heard("picked")) > count)
    return screen.heard("picked")[-1]


def test_several_machines_stand_side_by_side_and_a_click_says_which(pair):
    pair.live.put(wire.Resize(320, 160))
    wait_until(lambda: pair.heard("legend"))
    assert pair.heard("ready")[0]["machines"] == ["one", "other"]
    assert cubes(pair)["one"]["is_active"] and not cubes(pair)["other"]["is_active"]
    assert cubes(pair)["one"]["x"] < 0.5 < cubes(pair)["other"]["x"]
    for name in ("other", "one"):
        picked = pick(pair, cubes(pair)[name]["x"], 0.6)
        assert picked["machine"] == name and picked["what"]
        wait_until(lambda name=name: cubes(pair)[name]["is_active"])
    pair.live.put(wire.Activate("other"))
    wait_until(lambda: cubes(pair)["other"]["is_active"])
    pair.live.put(wire.Select(4096 * 70))
    wait_until(lambda: "machine=other" in pair.heard("legend")[-1]["view"])
    pair.live.put(wire.Select(0, "third"))
    wait_until(lambda: pair.heard("problem"))
    assert "one, other" in pair.heard("problem")[-1]["message"]


def test_pages_that_are_equal_in_several_machines_have_colours(pair):
    pair.live.put(wire.Resize(320, 160))
    pair.live.put(wire.Look("mode=equal"))

    def held_by_two():
        colours = pair.heard("legend")[-1]["colours"] if pair.heard("legend") else []
        return len(colours) == 2 and colours[1]["size_bytes"] > 0 and colours[0]["size_bytes"] == 0

    wait_until(held_by_two)
    pair.sources[1].ram.memory[100] ^= 1
    wait_until(lambda: pair.heard("legend")[-1]["colours"][0]["size_bytes"] == 2 * 4096)


def test_a_machine_that_ends_is_grey_until_it_returns(pair):
    pair.live.put(wire.Resize(320, 160))
    wait_until(lambda: pair.heard("legend"))
    pair.sources[1].is_gone = True
    wait_until(lambda: cubes(pair)["other"]["is_ended"])
    assert "other has ended" in pair.heard("problem")[-1]["message"] and not pair.heard("problem")[-1]["is_end"]
    assert pick(pair, cubes(pair)["one"]["x"], 0.6)["machine"] == "one"
    pair.sources[1].next = Mortal("other")
    wait_until(lambda: not cubes(pair)["other"]["is_ended"])
    assert pick(pair, cubes(pair)["other"]["x"], 0.6)["machine"] == "other"


def test_one_machine_alone_ends_the_picture(device):
    source = Mortal("one")
    ended = []

    class Alone(Screen):
        def run(self):
            try:
                self.live.run()
            except MachineGoneError as error:
                ended.append(str(error))

    screen = Alone(source)
    source.is_gone = True
    wait_until(lambda: ended)
    assert ended == ["it was ended"]
    screen.close()


def test_nobody_is_there_to_draw():
    done = subprocess.run(
        [sys.executable, "-m", "viewer", "live", "nobody"], input=b"", capture_output=True, timeout=60, check=True
    )
    kind, size = struct.unpack("<cI", done.stdout[:5])
    message = json.loads(done.stdout[5 : 5 + size])
    assert kind == wire.MESSAGE and message["is_end"] and "nobody" in message["message"]
