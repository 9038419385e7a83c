import importlib.util
import json
import re
from pathlib import Path

import pytest

from pixel_cpu.errors import SourceError
from pixel_cpu.frontends.primitives import compile_source, format_source
from pixel_cpu.frontends.primitives.words import FUNCTIONS, MINOR_WORDS, STATEMENTS, TYPES

ROOT = Path(__file__).resolve().parents[4]
PAGE = (ROOT / "docs" / "primitives.md").read_text(encoding="utf-8")
SYNTAX = (ROOT / "docs" / "editors" / "gpk.tmLanguage.json").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```gpk\n(.*?)```", PAGE, re.DOTALL)
TEXTS = EXAMPLES + [path.read_text(encoding="utf-8") for path in sorted((ROOT / "pixel_cpu" / "kernels").glob("*.gpk"))]


@pytest.fixture(scope="module")
def maker():
    spec = importlib.util.spec_from_file_location("make_primitives", ROOT / "docs" / "make_primitives.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_page_and_syntax_are_those_of_the_words(maker):
    assert maker.document(PAGE) == PAGE and maker.grammar_text() == SYNTAX, "run `just docs`"


@pytest.mark.parametrize("text", EXAMPLES)
def test_an_example_compiles(text):
    program = compile_source(text, "primitives.md")
    assert program.kernels
    assert format_source(format_source(text)) == format_source(text)


def test_the_example_of_an_error_is_real():
    text = EXAMPLES[0].replace("LOAD", "LAOD")
    with pytest.raises(SourceError) as caught:
        compile_source(text, "saxpy.gpk")
    assert str(caught.value) in PAGE


def kinds(text):
    """What the syntax file makes of a text, as an editor reads it: at each place the first pattern that fits first."""
    rules = [(rule["name"], re.compile(rule["match"])) for rule in json.loads(SYNTAX)["patterns"]]
    found = []
    for line in text.split("\n"):
        at = 0
        while at < len(line):
            hits = [
                (hit.start(), number, name, hit)
                for number, (name, rule) in enumerate(rules)
                if (hit := rule.search(line, at))
            ]
            if not hits:
                assert not line[at:].strip(), line
                break
            start, _, name, hit = min(hits[:], key=lambda each: each[:2])
            assert not line[at:start].strip(), f"{line[at:start]!r} is nothing in {line!r}"
            found.append((name, hit[0]))
            at = hit.end()
    return found


@pytest.mark.parametrize("text", TEXTS)
def test_the_syntax_knows_every_piece(text):
    for name, piece in kinds(text):
        if piece in STATEMENTS or piece in MINOR_WORDS:
            assert name.startswith("keyword."), (name, piece)
        elif piece in TYPES:
            assert name in ("storage.type.gpk", "support.function.gpk"), (name, piece)


def test_every_word_and_function_is_in_the_syntax():
    for word in (*STATEMENTS, *MINOR_WORDS):
        assert [name.split(".")[0] for name, _ in kinds(word)] == ["keyword"], word
    assert all(kinds(f"{name}(")[0] == ("support.function.gpk", name) for name in FUNCTIONS)


def test_the_page_names_every_record_of_the_host():
    assert all(name in PAGE for name in ("HostAlloc", "HostCopy", "HostFree", "HostLaunch", "HostSync"))


def test_the_python_of_the_page_runs():
    names = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(compile(block, "docs/primitives.md", "exec"), names)
    assert (names["y"] == 2 * names["x"] + 1).all()
