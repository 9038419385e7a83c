"""A trace that the tests of its file share."""

import pytest
from trace_program import Program, pieces_of, record_words


@pytest.fixture(scope="module")
def program():
    return Program()


@pytest.fixture(scope="module")
def sample(program, tmp_path_factory):
    """A trace of several frames, and the ids in it."""
    ids = program.walk(8000)
    return record_words(tmp_path_factory.mktemp("format"), program, pieces_of(ids)), ids
