"""The command line as a whole: exit status, help, and never a traceback."""

import argparse
import ast
import json
import os
import re
import subprocess
import sys

import pytest
from support import glassbox

from qemu_bridge.cli import main, make_parser, options

guest = pytest.mark.guest


def verbs():
    actions = next(action for action in make_parser()._actions if hasattr(action, "choices") and action.dest == "verb")
    return actions.choices


BAD_INPUT = [
    (["ps", "nobody"], 2, "no machine named 'nobody'"),
    (["ps", "no/body"], 2, "there is no capture"),
    (["ps", "no body"], 2, "is not a valid machine name"),
    (["start", "x", "--memory", "0"], 2, "is not a supported size of guest RAM"),
    (["start", "x", "--memory", "3"], 2, "is not a supported size of guest RAM"),
    (["start", "x", "--memory", "lots"], 2, "not a size"),
    (["start", "x", "--smp", "0"], 2, "vCPUs"),
    (["start", "x", "--kernel", "/nowhere", "--initrd", "/nowhere"], 2, "no file /nowhere"),
    (["start", "x", "--image", "beos"], None, "beos"),
    (["start", "a b"], 2, "is not a valid machine name"),
    (["snap", "nobody", "-o", "/tmp/x.png"], 2, "no machine named"),
    (["view", "nobody"], 2, "no machine named"),
    (["image", "path", "nothing"], 2, "nothing"),
    (["statsu"], 2, "there is no verb 'statsu'; did you mean status"),
    (["swim", "demo"], 2, "there is no verb 'swim'; 'glassbox --help' lists them"),
]


@pytest.mark.parametrize(
    ("words", "status", "sentence"), BAD_INPUT, ids=lambda value: " ".join(value) if isinstance(value, list) else None
)
def test_bad_input_is_one_line_and_no_traceback(words, status, sentence):
    answer = glassbox(*words)
    assert answer.returncode in ((1, 2) if status is None else (status,))
    assert sentence in answer.stderr and "Traceback" not in answer.stderr
    # argparse's own complaints name the program and the words, and show the usage first.
    last = answer.stderr.strip().splitlines()[-1]
    assert last.startswith("glassbox") and (answer.stderr.startswith("usage:") or answer.stderr.count("\n") == 1)


def test_every_verb_has_help_with_an_effect_and_no_verb_is_undocumented():
    for name, parser in verbs().items():
        assert parser.description and parser.description.endswith("."), name


def test_the_help_groups_every_verb_and_fits_80_columns():
    # Older names are aliases of the new ones.
    named = {name for name, parser in verbs().items() if parser.prog.split()[-1] == name}
    for words in ((), ("--help",)):
        answer = glassbox(*words)
        assert answer.returncode == 0 and not answer.stderr
        assert max(map(len, answer.stdout.splitlines())) <= 80
        listed = re.findall(r"[a-z-]+", answer.stdout)
        assert named <= set(listed), words
    assert len(glassbox().stdout.splitlines()) < 24, "bare glassbox says what fits a screen"


def test_quiet_says_errors_only_before_and_behind_the_verb(capsys):
    options.set_talk(argparse.Namespace())
    for words in (["-q", "status"], ["status", "-q"], ["status"]):
        assert main(words) == 0
    options.set_talk(argparse.Namespace(quiet=True))
    options.say("talk")
    options.complain("an error")
    assert capsys.readouterr().err == "glassbox: an error\n"
    options.set_talk(argparse.Namespace())
    options.say("talk")
    assert capsys.readouterr().err == "glassbox: talk\n"


HEAVY = ("numpy", "zmq", "wgpu", "volatility3", "asyncio", "qemu.qmp", "duckdb", "PIL")
"""What no verb may load before it knows that it needs it: half a second for every ``glassbox --help``."""


def loaded_by(*words):
    """What of `HEAVY` a command line loads."""
    program = (
        "import contextlib, sys\nfrom qemu_bridge import cli\n"
        f"with contextlib.suppress(SystemExit): cli.main({list(words)!r})\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return ast.literal_eval(answer.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    "words",
    [["--help"], ["--version"], ["trace", "record", "--help"], ["snap", "--help"], ["image", "list"]],
    ids=" ".join,
)
def test_what_needs_no_machine_loads_nothing_heavy(words):
    assert loaded_by(*words) == []


@guest
@pytest.mark.parametrize("words", [["status"], ["ps"], ["identify"]], ids=" ".join)
def test_what_asks_a_machine_loads_its_sockets_and_nothing_more(words, machine):
    rest = {"status": [], "ps": [machine.name], "identify": [machine.name, "init_task"]}[words[0]]
    assert loaded_by(*words, *rest) == ["zmq"]


def test_the_version_is_the_distributions():
    from qemu_bridge import __version__

    assert glassbox("--version").stdout.strip() == f"glassbox {__version__}"


def test_an_interrupt_ends_with_status_130(monkeypatch):
    monkeypatch.setattr("qemu_bridge.wire.connection.prune", lambda: (_ for _ in ()).throw(KeyboardInterrupt))
    assert main(["status"]) == 130


@guest
@pytest.mark.parametrize(
    ("environment", "target"),
    [({}, "/dev/full"), ({"PYTHONIOENCODING": "ascii"}, "/dev/null")],
)
def test_an_output_that_cannot_be_written_is_one_line(machine, environment, target):
    with open(target, "w") as output:
        answer = subprocess.run(
            [sys.executable, "-m", "qemu_bridge.cli", "ps", machine.name],
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | environment,
            check=False,
        )
    assert "Traceback" not in answer.stderr and len(answer.stderr.splitlines()) <= 1
    assert answer.returncode == (1 if target == "/dev/full" else 0)


@guest
def test_words_behind_two_dashes_are_not_dropped(machine):
    assert glassbox("ps", machine.name, "--", "garbage").returncode == 2
    assert glassbox("find", machine.name, "--", "-no-such-word-").returncode in (0, 1)


@pytest.mark.parametrize("words", [["--log-json", "ps", "nobody"], ["ps", "nobody", "--log-json"]], ids=" ".join)
def test_messages_are_an_object_a_line_where_that_is_asked_for(words):
    answer = glassbox(*words)
    row = json.loads(answer.stderr)
    assert answer.returncode == 2 and row["level"] == "error" and "no machine named 'nobody'" in row["message"]
