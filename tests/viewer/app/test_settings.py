"""Settings come back, and a bad file is reported and passed over."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qemu_bridge.errors import GlassBoxError
from viewer.app.settings import Settings, load_settings, read_toml, save_settings, settings_path, write_toml
from viewer.view.views import Mode


def test_settings_come_back(tmp_path):
    settings = Settings(("layers", "details"), 1.25, 500, Mode.FLY, "3840x2160", {"frame": ("é", "ctrl-f"), "top": ()})
    save_settings(settings, tmp_path / "deep" / "viewer.toml")
    assert load_settings(tmp_path / "deep" / "viewer.toml") == (settings, [])


def test_no_file_is_the_usual_settings(tmp_path):
    assert load_settings(tmp_path / "none.toml") == (Settings(), [])


@pytest.mark.parametrize("content", [b"= =", b"\xff\xfe", b"ui_scale = [", b"a = " + b"[" * 5000])
def test_a_file_that_is_none_is_one_sentence(tmp_path, content):
    (tmp_path / "viewer.toml").write_bytes(content)
    settings, problems = load_settings(tmp_path / "viewer.toml")
    assert settings == Settings() and len(problems) == 1 and "viewer.toml" in problems[0]


@pytest.mark.parametrize(
    "line",
    [
        "ui_scale = 90",
        "ui_scale = true",
        "ui_scale = nan",
        'panels = ["roof"]',
        'panels = "layers"',
        'mode = "swim"',
        "screenshot = 3",
        'screenshot = "0x0"',
        "colour = 1",
        "keys = 3",
        "keys = {frame = 3}",
        'keys = {frame = ["Esc"]}',
    ],
)
def test_a_value_that_makes_no_sense_is_passed_over_and_the_rest_holds(tmp_path, line):
    (tmp_path / "viewer.toml").write_text(f"{line}\ndetails_width = 321\n")
    settings, problems = load_settings(tmp_path / "viewer.toml")
    assert settings.details_width == 321 and len(problems) == 1 and "docs/viewer.md" in problems[0]


def test_a_panel_is_opened_and_closed():
    settings = Settings().with_panel("details", True)
    assert "details" in settings.panels and "details" not in settings.with_panel("details", False).panels


def test_they_lie_where_the_desktop_keeps_them(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert settings_path() == tmp_path / "glassbox" / "viewer.toml"


@given(st.dictionaries(st.text(), st.dictionaries(st.text(), st.text())))
def test_any_text_is_written_as_toml_reads_it(tmp_path_factory, table):
    path = tmp_path_factory.mktemp("toml") / "x.toml"
    write_toml(table, path)
    assert tomllib.loads(path.read_text()) == {name: dict(rows) for name, rows in table.items()}
    assert read_toml(path) == table


def test_a_folder_that_takes_no_file_is_an_error_in_words(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(GlassBoxError, match="cannot write"):
        write_toml({}, tmp_path / "file" / "x.toml")


def test_what_is_passed_over_is_named_briefly_however_long_it_is(tmp_path):
    path = tmp_path / "viewer.toml"
    path.write_text(f'{"n" * 100_000} = "{"v" * 100_000}"\n')
    (problem,) = load_settings(path)[1]
    assert "no such setting" in problem and len(problem) < 400 + len(str(path))
