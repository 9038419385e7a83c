"""Records of viewers travel as JSON."""

import msgspec

from qemu_bridge.wire.viewer_records import ViewerSession, ViewersTold


def test_a_viewer_that_has_reported_nothing_has_done_nothing():
    viewer = ViewerSession(3, 80, 1.5)
    assert (viewer.view, viewer.problem, viewer.done) == ("", "", 0)
    assert msgspec.json.decode(msgspec.json.encode(viewer), type=ViewerSession) == viewer


def test_who_was_told_is_a_list():
    told = ViewersTold(4, (1, 2), 8192)
    assert msgspec.json.decode(msgspec.json.encode(told), type=ViewersTold) == told
