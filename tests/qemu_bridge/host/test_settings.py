"""Settings: variable, file, default, in this order; what is wrong is told with the way out."""

import os

import pytest

from qemu_bridge.errors import UsageError
from qemu_bridge.host import settings


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for row in settings.SETTINGS:
        monkeypatch.delenv(row.variable, raising=False)
    path = settings.settings_path()
    path.parent.mkdir()
    yield path
    path.unlink(missing_ok=True)
    settings.apply()


def effective():
    settings.apply()
    return {row.name: (row.value, row.origin) for row in settings.iter_effective()}


def test_a_variable_goes_before_the_file_and_the_file_before_the_default(file, monkeypatch):
    file.write_text('memory = "96M"\nsmp = 4\nlog_json = true\nworker_idle_s = 5\n')
    monkeypatch.setenv("GLASSBOX_SMP", "2")
    found = effective()
    assert found["memory"] == ("96M", str(file)) and found["smp"] == (2, "GLASSBOX_SMP")
    assert found["log_json"] == (True, str(file)) and found["worker_idle_s"] == (5.0, str(file))
    assert found["image"] == ("alpine", "default")


def test_what_is_started_gets_them_and_a_file_that_changed_is_followed(file):
    file.write_text('qemu = "/opt/qemu"\n')
    effective()
    assert os.environ["GLASSBOX_QEMU"] == "/opt/qemu"
    file.write_text('memory = "1G"\n')
    assert effective()["memory"] == ("1G", str(file)) and "GLASSBOX_QEMU" not in os.environ
    file.unlink()
    assert effective()["memory"] == ("128M", "default")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("memory = ", "is no TOML"),
        ("memori = 3", "use memory"),
        ("smp = true", "smp is a bool; give a int, as smp = 1"),
        ("memory = 96", 'as memory = "128M"'),
        ("[machine]\nx = 1", "has no setting 'machine'"),
        ("\xff", "is no TOML"),
    ],
)
def test_a_file_that_is_wrong_is_told_with_the_way_out(file, text, words):
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match=words):
        settings.apply()


def test_a_variable_of_another_type_is_told(file, monkeypatch):
    monkeypatch.setenv("GLASSBOX_WORKER_IDLE_S", "soon")
    with pytest.raises(UsageError, match="GLASSBOX_WORKER_IDLE_S=soon is no float; give one"):
        settings.value_of("worker_idle_s")
    for text, value in (("1", True), ("no", False), ("", False)):
        monkeypatch.setenv("GLASSBOX_LOG_JSON", text)
        assert settings.value_of("log_json") is value
