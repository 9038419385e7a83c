"""Traces that the tests of exports share."""

import pytest
from trace_program import Program, pieces_of, record_words


@pytest.fixture(scope="module")
def program():
    return Program()


@pytest.fixture(scope="module")
def walk(program, tmp_path_factory):
    """(trace of 5000 blocks in several frames, their ids)."""
    ids = program.walk(5000)
    return record_words(tmp_path_factory.mktemp("export"), program, pieces_of(ids), 1000), ids


@pytest.fixture(scope="module")
def two(program, tmp_path_factory):
    """The same of two vCPUs."""
    ids = [program.walk(3000), program.walk(2000)]
    path = record_words(tmp_path_factory.mktemp("two"), program, [pieces_of(own) for own in ids], 1000, vcpus=2)
    return path, ids
