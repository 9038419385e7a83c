"""The verbs of checkpoints, as somebody types them."""

import json
import re
import shutil

import pytest
from support import glassbox

from qemu_bridge.host.folders import runtime_folder
from qemu_bridge.timeline.checkpoints import finish, folder_of, make_draft
from qemu_bridge.wire.json_text import decode_json
from qemu_bridge.wire.records import Checkpoint, Fork

pytestmark = pytest.mark.guest


def test_a_machine_is_brought_back_by_its_verbs_and_an_unknown_tag_is_told_those_that_there_are(machine):
    try:
        taken = glassbox("checkpoint", machine.name, "before")
        assert taken.returncode == 0 and re.search(r"before: \d+ MiB of RAM, paused for \d+ ms", taken.stderr)
        machine.exec("touch /tmp/later")
        assert glassbox("restore", machine.name, "before").returncode == 0
        assert machine.exec("ls /tmp/later 2>/dev/null || echo none").strip() == b"none"
        assert "before" in glassbox("checkpoints", machine.name).stdout
        unknown = glassbox("restore", machine.name, "other")
        assert unknown.returncode == 2 and "there are before" in unknown.stderr
        assert glassbox("forget", machine.name, "before").returncode == 0 and not [*folder_of(machine.name).iterdir()]
    finally:
        shutil.rmtree(folder_of(machine.name), ignore_errors=True)


def test_a_checkpoint_of_a_machine_that_has_ended_is_listed_and_removed(isolated_folders):
    draft = make_draft("ended", "before")
    finish(draft, Checkpoint("before", "ended", 1.0, 0.0, 0, 0, True, 1, 1))
    assert "before" in glassbox("checkpoints", "ended").stdout
    other = glassbox("forget", "ended", "other")
    assert other.returncode == 2 and "there are before" in other.stderr
    assert glassbox("forget", "ended", "before").returncode == 0 and not [*folder_of("ended").iterdir()]
    assert "ended" in glassbox("forget", "ended", "before").stderr
    assert not [*runtime_folder().glob("ended*")]


def test_a_machine_is_forked_by_its_verb_and_a_name_that_is_taken_is_refused(machine):
    forked = glassbox("fork", machine.name, "branch", "--json")
    try:
        assert forked.returncode == 0, forked.stderr
        assert decode_json(forked.stdout.encode(), Fork).name == json.loads(forked.stdout)["name"] == "branch"
        again = glassbox("fork", machine.name, "branch")
        assert again.returncode == 1 and "runs already" in again.stderr
    finally:
        assert glassbox("stop", "branch").returncode == 0
