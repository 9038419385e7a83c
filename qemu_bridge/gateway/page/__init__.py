"""The page for the browser, and the interactive documentation: files that are sent as they are, from no other host."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import NamedTuple

_OWN = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/service.js": ("service.js", "text/javascript; charset=utf-8"),
    "/live.js": ("live.js", "text/javascript; charset=utf-8"),
    "/several.js": ("several.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
    "/docs": ("docs.html", "text/html; charset=utf-8"),
    "/docs.js": ("docs.js", "text/javascript; charset=utf-8"),
}
_SWAGGER = {
    "/docs/swagger-ui.css": ("swagger-ui.css", "text/css; charset=utf-8"),
    "/docs/swagger-ui-bundle.js": ("swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
}


class Asset(NamedTuple):
    """A file of the page."""

    content: bytes
    media_type: str


@cache
def assets() -> dict[str, Asset]:
    """The files by the path that they are sent at: no path of a request ever becomes one of the disk."""
    # fastapi-offline is used for the copy of Swagger UI that it brings along.
    folders = ((_OWN, resources.files(__name__)), (_SWAGGER, resources.files("fastapi_offline") / "static"))
    return {
        path: Asset((folder / name).read_bytes(), media_type)
        for paths, folder in folders
        for path, (name, media_type) in paths.items()
    }
