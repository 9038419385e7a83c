"""Names of the files of a capture (docs/captures.md). Nothing is imported, so that a name costs nothing."""

MANIFEST, RAM, PAGE_MAP, OWNERS, SYMBOLS, CONSOLE = (
    "manifest.json", "ram", "page_map.npy", "owners.json", "symbols", "console.log",
)  # fmt: skip
