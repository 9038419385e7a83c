"""The docs are a test target: what exists is documented, and what is documented exists."""

import ast
import importlib
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from qemu_bridge.cli import make_parser
from qemu_bridge.client import Client
from qemu_bridge.wire import connection, document
from qemu_bridge.wire.event_records import AnyEvent
from qemu_bridge.wire.operations import BY_NAME
from qemu_bridge.wire.records import PROTOCOL_VERSION, Origin, PageClass

ROOT = Path(__file__).resolve().parents[2]
JUST = Path(sys.executable).parent / "just"
DOCS = sorted((ROOT / "docs").glob("*.md"))
TEXT = "\n".join(path.read_text() for path in [ROOT / "README.md", *DOCS])


def verbs():
    return next(action for action in make_parser()._actions if action.dest == "verb").choices


def test_the_fields_of_overlays_are_those_of_their_rows():
    page = ROOT / "docs/overlays.md"
    found = runpy.run_path(str(ROOT / "docs/make_overlays.py"))
    assert page.read_text() == found["with_fields"](page.read_text()), "run 'just docs'"


@pytest.mark.parametrize("verb", verbs())
def test_every_verb_is_documented(verb):
    assert re.search(rf"glassbox {verb}\b", TEXT)


def test_every_verb_that_the_docs_use_exists():
    used = set(re.findall(r"^\s*(?:\$ )?(?:[A-Z_]+=\S+ )?glassbox (?:--host \S+ )?([a-z-]+)", TEXT, re.MULTILINE))
    assert used and used <= set(verbs())


def test_the_first_commands_of_the_readme_are_recipes():
    recipes = subprocess.run([JUST, "--summary"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    named = re.findall(r"^(?:\./bootstrap|just) ([a-z-]+)", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert named[:2] == ["run", "test"] and set(named) <= set(recipes)


def anchors(page):
    """What a page's headings can be linked by."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_every_link_and_picture_is_there():
    for path in [ROOT / "README.md", *DOCS]:
        for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
            if not link.startswith("https://"):
                name, _, anchor = link.partition("#")
                target = path.parent / name if name else path
                assert target.exists(), f"{path.name}: {link}"
                assert not anchor or anchor in anchors(target), f"{path.name}: {link}"


def test_the_protocol_document_is_current_and_knows_every_operation_and_event():
    text = (ROOT / "docs/protocol.md").read_text()
    assert document.bring_up_to_date(text) == text, "run 'just docs'"
    assert list(document.iter_parts(text)) == ["connection", "kinds", "operations", "page_classes", "records"]
    assert all(f"| `{name}` |" in text for name in BY_NAME)
    assert all(f"| `{kind.__struct_config__.tag}` |" in text for kind in get_args(AnyEvent))
    assert f"# The protocol, version {PROTOCOL_VERSION}\n" in text


def test_every_page_class_is_explained():
    table = (ROOT / "docs/concepts.md").read_text().split("| class |")[1]
    for page_class in PageClass:
        for word in page_class.label.split():
            assert word in table, page_class


def test_the_changelog_names_every_verb_once_it_exists():
    text = (ROOT / "CHANGELOG.md").read_text()
    assert all(re.search(rf"`(?:glassbox )?{verb}`|glassbox {verb}\b|bootstrap {verb}", text) for verb in verbs())


def test_environment_variables_in_the_docs_are_read_somewhere():
    source = "\n".join(
        path.read_text()
        for package in ("qemu_bridge", "viewer", "gpu_device", "gpu_hypervisor", "pixel_cpu")
        for path in (ROOT / package).rglob("*.py")
    )
    named = set(re.findall(r"GLASSBOX_[A-Z_]+", TEXT))
    read = set(re.findall(r"GLASSBOX_[A-Z_]+", source))
    assert named == read


# --- Python blocks -----------------------------------------------------------------------------------------

_BLOCK = re.compile(r"(<!-- long -->\n)?^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
RUN = ("README.md", "docs/how-to.md", "docs/captures.md", "docs/trace.md")
"""Documents whose blocks are run, in order, on the session's guest."""


def blocks(path, long=None):
    """The Python blocks of a document: (marked as long, code)."""
    found = [(bool(mark), code) for mark, code in _BLOCK.findall(path.read_text())]
    return [(mark, code) for mark, code in found if long is None or mark == long]


def run_blocks(name, machine, folder, long, monkeypatch):
    monkeypatch.chdir(folder)
    for _, code in blocks(ROOT / name, long):
        # The machine of the documents is "demo"; files go into the test's folder, recordings are short.
        here = code.replace('"demo"', repr(machine.name)).replace("/tmp/glassbox-", f"{folder}/")
        exec(compile(here.replace("seconds=5", "seconds=0.3"), name, "exec"), {"__name__": "documentation"})
    for each in connection.iter_connections(captures=True):
        if each.origin == Origin.CAPTURE:
            with Client(each) as client:
                client.stop()


@pytest.mark.parametrize("path", [ROOT / "README.md", *DOCS], ids=lambda path: path.name)
def test_every_python_block_compiles_and_imports_names_that_exist(path):
    for _, code in blocks(path):
        for node in ast.walk(ast.parse(dedented(code))):
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                module = importlib.import_module(node.module)
                for alias in node.names:
                    assert hasattr(module, alias.name) or importlib.import_module(f"{node.module}.{alias.name}")


def dedented(code):
    """A method that is shown as it stands in its class, put into a class."""
    return f"class _:\n{code}" if code.startswith("    ") else code


@pytest.mark.guest
@pytest.mark.parametrize("name", RUN)
def test_the_python_blocks_run(name, machine, tmp_path, monkeypatch):
    run_blocks(name, machine, tmp_path, False, monkeypatch)
    assert machine.client.status().runstate == "running"


@pytest.mark.guest
@pytest.mark.long
def test_the_python_blocks_that_take_long_run(machine, tmp_path, monkeypatch):
    assert any(blocks(ROOT / name, True) for name in RUN)
    for name in RUN:
        run_blocks(name, machine, tmp_path, True, monkeypatch)
