"""The settings: a row each, from an environment variable, else from ``$XDG_CONFIG_HOME/glassbox/config.toml``, else the default.

The command line calls `apply` once, which puts what the file says into the environment: so whatever it starts, a daemon or the viewer, has
the same settings. Flags of a verb win over all of them.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import UsageError
from .folders import base_folder

Value = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Setting:
    """A row: `name` in the file, `variable` of the environment, `default`, whose type the value has, and what it sets."""

    name: str
    variable: str
    default: Value
    doc: str


SETTINGS = (
    Setting("image", "GLASSBOX_IMAGE", "alpine", "the guest image that start and run boot"),
    Setting("memory", "GLASSBOX_MEMORY", "128M", "guest RAM of start and run"),
    Setting("smp", "GLASSBOX_SMP", 1, "vCPUs of start and run"),
    Setting("qemu", "GLASSBOX_QEMU", "", "the QEMU program; empty: qemu-system-x86_64 of PATH"),
    Setting("ram_dir", "GLASSBOX_RAM_DIR", "", "the folder on a tmpfs that holds guest RAM; empty: /dev/shm"),
    Setting("adapter", "GLASSBOX_ADAPTER", "", "the GPU to draw on, a part of its name; empty: the best one"),
    Setting("symbol_cache", "GLASSBOX_SYMBOL_CACHE", "", "the cache of kernel symbols; empty: in ~/.cache/glassbox"),
    Setting("image_mirror", "GLASSBOX_IMAGE_MIRROR", "", "a mirror of Alpine, an address or a folder, tried first"),
    Setting("overlays", "GLASSBOX_OVERLAYS", "", "a file with overlays of your own"),
    Setting("worker_idle_s", "GLASSBOX_WORKER_IDLE_S", 60.0, "seconds without a question after which the worker ends"),
    Setting("pager", "GLASSBOX_PAGER", "less -FRX", "shows tables that are longer than the terminal; empty: none"),
    Setting("log_json", "GLASSBOX_LOG_JSON", False, "messages and logs as a JSON object a line"),
)
_BY_NAME = {row.name: row for row in SETTINGS}
_TRUE, _FALSE = ("1", "true", "yes", "on"), ("", "0", "false", "no", "off")
_from_file: set[str] = set()
"""Variables that `apply` has set."""


@dataclass(frozen=True, slots=True)
class Effective:
    """A setting's value, and where it comes from: ``default``, the path of the file, or the variable's name."""

    name: str
    value: Value
    origin: str
    doc: str


def settings_path() -> Path:
    """The file of settings; it may not exist."""
    return (base_folder("XDG_CONFIG_HOME") or Path.home() / ".config") / "glassbox" / "config.toml"


def value_of(name: str) -> Value:
    """The value of setting `name` in this process; `UsageError` for one of another type in the environment."""
    row = _BY_NAME[name]
    text = os.environ.get(row.variable)
    return row.default if text is None else _parse(row, text)


def apply() -> None:
    """Put what the file says into the environment, where no variable says something else; `UsageError` for a file that is wrong."""
    found = _read_file()
    for variable in _from_file - {_BY_NAME[name].variable for name in found}:
        os.environ.pop(variable, None)
        _from_file.discard(variable)
    for name, value in found.items():
        variable = _BY_NAME[name].variable
        if variable not in os.environ or variable in _from_file:
            os.environ[variable] = str(value).lower() if isinstance(value, bool) else str(value)
            _from_file.add(variable)


def iter_effective() -> Iterator[Effective]:
    """Yield every setting with its value and where that comes from; call `apply` before."""
    for row in SETTINGS:
        origin = "default" if row.variable not in os.environ else row.variable
        if row.variable in _from_file:
            origin = str(settings_path())
        yield Effective(row.name, value_of(row.name), origin, row.doc)


def _read_file() -> dict[str, Value]:
    path = settings_path()
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return {}
    # Loaded for those who have such a file.
    import tomllib

    try:
        found = tomllib.loads(text.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is no TOML: {error}; mend that line, or remove the file") from None
    for name, value in found.items():
        if name not in _BY_NAME:
            close = difflib.get_close_matches(name, _BY_NAME, 1) or list(_BY_NAME)
            raise UsageError(f"{path} has no setting {name!r}; use {', '.join(close)}")
        wanted = type(_BY_NAME[name].default)
        fits = type(value) is wanted or (wanted is float and type(value) is int)
        if not fits:
            raise UsageError(
                f"{path}: {name} is a {type(value).__name__}; give a {wanted.__name__}, as {_example(name)}"
            )
    return found


def _parse(row: Setting, text: str) -> Value:
    kind = type(row.default)
    try:
        if kind is bool:
            return {**dict.fromkeys(_TRUE, True), **dict.fromkeys(_FALSE, False)}[text.lower()]
        return kind(text)
    except (ValueError, KeyError):
        raise UsageError(f"{row.variable}={text} is no {kind.__name__}; give one, as {row.default}") from None


def _example(name: str) -> str:
    default = _BY_NAME[name].default
    return f'{name} = "{default}"' if isinstance(default, str) else f"{name} = {str(default).lower()}"
