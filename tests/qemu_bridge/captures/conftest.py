"""A capture of the session's guest."""

from __future__ import annotations

import pytest
from open_captures import READING_VERBS, ask, let_go


@pytest.fixture(scope="package")
def taken(machine, tmp_path_factory):
    """A capture of the session's guest, and what every verb said of the guest at that moment."""
    folder = tmp_path_factory.mktemp("captures") / "taken"
    with machine.paused():
        manifest = machine.client.capture(str(folder))
        said = {words: ask(machine.name, words) for words in READING_VERBS}
        page_map = machine.client.page_map().value
    yield folder, manifest, said, page_map
    let_go(folder)
