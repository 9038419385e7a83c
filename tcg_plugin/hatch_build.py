"""Hatch's build hook: the wheel brings the compiled libraries, when there is a compiler where it is built.

An editable install brings none: a checkout compiles on first use (`tcg_plugin.build`), so that changed sources are never
behind their library.
"""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class LibrariesHook(BuildHookInterface):  # type: ignore[type-arg]
    """Compiles each library and adds it to the wheel."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatch before a wheel is put together; `version` is ``standard`` or ``editable``."""
        if version == "editable":
            return
        # By its path: the package that is being built need not be importable here.
        build = runpy.run_path(str(Path(self.root, "tcg_plugin", "build.py")))
        for name in build["SOURCES"]:
            try:
                library = build["find_library"](name)
            except build["BuildError"] as error:
                self.app.display_warning(f"the wheel goes without {name}: {error}")
                continue
            build_data["force_include"][str(library)] = f"tcg_plugin/{name}.so"
            build_data["pure_python"] = False
            build_data["infer_tag"] = True
