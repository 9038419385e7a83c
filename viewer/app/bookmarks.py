"""Named views, kept for each machine or capture: ``$XDG_CONFIG_HOME/glassbox/bookmarks.toml``.

A table for each machine, a line for each view, in the text of `viewer.view.views`::

    ["demo"]
    "heap of init" = "yaw=35,pitch=24,distance=0.4,target=0.2:0.3:0.1,pin=0x32a7100"
"""

from __future__ import annotations

from pathlib import Path

from qemu_bridge.errors import GlassBoxError, UsageError
from qemu_bridge.host.folders import config_folder

from .settings import read_toml, write_toml

MOST_BOOKMARKS = 500
MOST_LETTERS = 80


def bookmarks_path() -> Path:
    """Where the bookmarks are."""
    return config_folder() / "bookmarks.toml"


class Bookmarks:
    """The named views of one machine: their texts by name, in the order in which they were made."""

    def __init__(self, machine: str, path: Path) -> None:
        """Those of `machine` in the file at `path`; `problem` says why there are none if it cannot be read."""
        self._machine, self._path = machine, path
        self.problem = ""
        self.views: dict[str, str] = {}
        self.reload()

    def reload(self) -> None:
        """Read the file again: another window may have written it."""
        try:
            rows = self._tables().get(self._machine, {})
            self.views = dict(list(rows.items())[:MOST_BOOKMARKS])
        except GlassBoxError as error:
            self.problem = str(error)

    def add(self, name: str, view: str) -> str:
        """Keep text `view` as `name` and return the name it got; `GlassBoxError` if it cannot be kept."""
        name = " ".join(name.split())[:MOST_LETTERS]
        if not name:
            raise UsageError("a bookmark needs a name; type one")
        self._change({name: view})
        return name

    def remove(self, name: str) -> None:
        """Forget a bookmark."""
        self._change({name: None})

    def free_name(self) -> str:
        """``view 3``: a name that is not taken."""
        return next(name for n in range(1, MOST_BOOKMARKS + 2) if (name := f"view {n}") not in self.views)

    def _change(self, changes: dict[str, str | None]) -> None:
        tables = self._tables()
        rows = tables.setdefault(self._machine, {})
        for name, view in changes.items():
            if view is None:
                rows.pop(name, None)
            elif len(rows) >= MOST_BOOKMARKS and name not in rows:
                raise UsageError(f"{MOST_BOOKMARKS} bookmarks are the limit for one machine; remove some")
            else:
                rows[name] = view
        write_toml({machine: rows for machine, rows in tables.items() if rows}, self._path)
        self.views = rows

    def _tables(self) -> dict[str, dict[str, str]]:
        # Only what has the right shape: the file is anybody's to edit.
        return {
            machine: {name: view for name, view in rows.items() if isinstance(view, str)}
            for machine, rows in read_toml(self._path).items()
            if isinstance(rows, dict)
        }
