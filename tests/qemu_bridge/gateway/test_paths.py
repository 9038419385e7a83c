"""Paths in arguments: names of files in one folder, and nothing else."""

import pytest

from qemu_bridge.errors import UsageError
from qemu_bridge.gateway.paths import file_path, path_fields, place_paths, writes_a_file
from qemu_bridge.wire import connection
from qemu_bridge.wire.messages import decode_arguments
from qemu_bridge.wire.operations import BY_NAME

WITH_PATHS = {
    "capture": (("output",),),
    "compare": (("before",),),
    "snap": (("options", "output"), ("options", "against"), ("options", "beside")),
    "record_video": (("options", "output"), ("options", "against"), ("options", "beside")),
    "trace_record": (("output",),),
    "trace_top": (("file",),),
}


@pytest.mark.parametrize("name", BY_NAME)
def test_every_path_of_every_operation_is_known(name):
    assert path_fields(BY_NAME[name].arguments) == WITH_PATHS.get(name, ())
    assert writes_a_file(BY_NAME[name]) == (name in ("capture", "snap", "record_video", "trace_record"))


def test_no_argument_that_is_a_path_by_its_name_goes_unmarked():
    for name, operation in BY_NAME.items():
        for word in ("output", "file", "before", "path", "against", "beside"):
            if word in operation.arguments.__struct_fields__:
                assert (word,) in path_fields(operation.arguments), name


@pytest.mark.parametrize(
    "name", ["../x", "/etc/passwd", "a/b", "..", ".", "", ".hidden", "a\0b", "a\n", "é", "x" * 101, "a\\b"]
)
def test_a_name_that_leads_elsewhere_is_refused(name):
    with pytest.raises(UsageError, match="file name"):
        file_path("demo", name)


@pytest.mark.parametrize("machine", ["..", "../x", "a/b", ""])
def test_a_machine_that_leads_elsewhere_is_refused(machine):
    with pytest.raises(UsageError, match="machine name"):
        file_path(machine, "x")


def test_names_become_paths_wherever_they_are():
    folder = connection.state_folder("demo") / "files"
    operation = BY_NAME["snap"]
    arguments = decode_arguments(operation, b'{"options": {"output": "a.png"}}')
    placed = place_paths("demo", operation, arguments)["options"]
    assert placed.output == str(folder / "a.png") and placed.against is None and placed.width == 1280
    assert place_paths("demo", BY_NAME["ps"], {}) == {}


def test_what_is_neither_a_file_nor_a_machine_is_told():
    with pytest.raises(UsageError, match="neither a file nor a machine 'old'"):
        place_paths("demo", BY_NAME["compare"], {"before": "old", "target": "", "pages": False})
    path = file_path("demo", "old")
    path.mkdir()
    assert place_paths("demo", BY_NAME["compare"], {"before": "old"})["before"] == str(path)
    picture = decode_arguments(BY_NAME["snap"], b'{"options": {"output": "a.png", "beside": ["old", "old"]}}')
    assert place_paths("demo", BY_NAME["snap"], picture)["options"].beside == (str(path), str(path))
    path.rmdir()
    with pytest.raises(UsageError, match="neither a file nor a machine 'old'"):
        place_paths("demo", BY_NAME["snap"], picture)
