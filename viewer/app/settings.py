"""What the window remembers: ``$XDG_CONFIG_HOME/glassbox/viewer.toml``.

A file that cannot be read, or an invalid value, is reported and ignored: the window opens anyway.

    panels = ["layers", "details"]
    ui_scale = 1.0
    details_width = 430
    mode = "orbit"
    screenshot = "window"

    [keys]
    frame = ["f", "ctrl-f"]
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from qemu_bridge.errors import GlassBoxError
from qemu_bridge.host.folders import config_folder

from ..view.views import Mode
from .key_names import parse_key

PANELS = ("layers", "details", "labels", "minimap", "hint")
MOST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Settings:
    """One user's choices.

    Attributes:
        panels: what shows: the layers at the left, the details at the right, labels in the picture,
            the minimap over it, the hint of the first minute.
        ui_scale: size of the text, 1 is the default.
        details_width: of the right panel, in logical pixels.
        mode: how one moves at first.
        screenshot: its size: ``window`` or ``WIDTHxHEIGHT``.
        keys: of the commands that have others than at first, by a command's name.
    """

    panels: tuple[str, ...] = ("layers", "labels", "hint")
    ui_scale: float = 1.0
    details_width: int = 430
    mode: Mode = Mode.ORBIT
    screenshot: str = "window"
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def with_panel(self, name: str, is_open: bool) -> Settings:
        """With panel `name` open or closed."""
        return replace(self, panels=tuple(p for p in PANELS if (is_open if p == name else p in self.panels)))


def settings_path() -> Path:
    """Where the settings are."""
    return config_folder() / "viewer.toml"


def load_settings(path: Path) -> tuple[Settings, list[str]]:
    """(settings, a sentence for each setting in the file at `path` that was ignored)."""
    try:
        table = read_toml(path)
    except GlassBoxError as error:
        return Settings(), [str(error)]
    settings, problems = Settings(), []
    for name, value in table.items():
        try:
            settings = replace(settings, **{name: _checked(name, value)})
        except (KeyError, TypeError, ValueError) as error:
            reason = "no such setting" if isinstance(error, KeyError) else str(error)
            problems.append(f"{path}: {name:.40} = {value!r:.80} is ignored ({reason}); see docs/viewer.md")
    return settings, problems


def _checked(name: str, value: Any) -> Any:  # noqa: ANN401  # whatever TOML holds
    if name not in {field.name for field in fields(Settings)}:
        raise KeyError(name)
    if name == "panels":
        if not isinstance(value, list) or not set(map(str, value)) <= set(PANELS):
            raise ValueError(f"a list of {', '.join(PANELS)}")
        return tuple(panel for panel in PANELS if panel in value)
    if name == "ui_scale":
        return _number(value, 0.5, 4.0)
    if name == "details_width":
        return int(_number(value, 200, 4000))
    if name == "mode":
        return Mode(value)
    if name == "keys":
        return _checked_keys(value)
    if not isinstance(value, str):
        raise ValueError("window, or WIDTHxHEIGHT")
    if value != "window":
        from ..picture.size import parse_picture_size

        parse_picture_size(value)
    return value


def _checked_keys(table: Any) -> dict[str, tuple[str, ...]]:  # noqa: ANN401  # whatever TOML holds
    if not isinstance(table, dict):
        raise ValueError("a table: name = [keys]")
    lists = {name: [keys] if isinstance(keys, str) else keys for name, keys in table.items()}
    if not all(isinstance(keys, list) and all(isinstance(key, str) for key in keys) for keys in lists.values()):
        raise ValueError("a list of keys for each name")
    return {name: tuple(map(parse_key, keys)) for name, keys in lists.items()}


def _number(value: Any, low: float, high: float) -> float:  # noqa: ANN401  # whatever TOML holds
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise ValueError(f"a number from {low:g} to {high:g}")
    return float(value)


def save_settings(settings: Settings, path: Path) -> None:
    """Write `settings`; `GlassBoxError` where that cannot be done."""
    write_toml({field.name: getattr(settings, field.name) for field in fields(settings)}, path)


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a file, empty for one that is not there; `GlassBoxError` for one that cannot be understood."""
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise ValueError(f"more than {MOST_BYTES} bytes")
        return tomllib.loads(content.decode())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise GlassBoxError(f"{path} is ignored ({error}); correct or remove it") from None


def write_toml(table: Mapping[str, Any], path: Path) -> None:
    """Write values and tables of values, whole or not at all; `GlassBoxError` where that cannot be done."""
    plain = {name: value for name, value in table.items() if not isinstance(value, Mapping)}
    lines = [f"{_quoted(name)} = {_toml(value)}" for name, value in plain.items()]
    for name, rows in table.items():
        if isinstance(rows, Mapping):
            lines += ["", f"[{_quoted(name)}]", *(f"{_quoted(key)} = {_toml(value)}" for key, value in rows.items())]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write("\n".join(lines) + "\n")
            os.replace(name, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise
    except OSError as error:
        raise GlassBoxError(f"cannot write {path} ({error.strerror or error}); check the folder") from None


def _toml(value: Any) -> str:  # noqa: ANN401  # what a setting may be
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml(each) for each in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return (
        str(value) if type(value) in (int, float) else _quoted(str(value.value if isinstance(value, Mode) else value))
    )


def _quoted(text: str) -> str:
    # A JSON string is a TOML one, but for characters that JSON lets stand: DEL and lone surrogates.
    return json.dumps(text.encode("utf-8", "replace").decode(), ensure_ascii=False).replace("\x7f", "\\u007f")
