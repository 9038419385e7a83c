"""The command line as a user types it: output, JSON, exit status, and never a traceback."""

import json
import os
import subprocess
import sys

import pytest
from support import glassbox

from qemu_bridge.cli import main, make_parser
from qemu_bridge.memory.addresses import PhysicalAddress

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


def test_no_qemu_is_one_line_that_says_what_to_install(image):
    answer = glassbox(
        "start", "x", "--kernel", str(image.kernel), "--initrd", str(image.initrd), GLASSBOX_QEMU="/nowhere"
    )
    assert answer.returncode == 1 and "install QEMU" in answer.stderr and len(answer.stderr.splitlines()) == 1


def test_every_verb_has_help_with_an_effect_and_no_verb_is_undocumented():
    for name, parser in verbs().items():
        assert parser.description and parser.description.endswith("."), name


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_a_completion_script_knows_the_verbs(shell):
    answer = glassbox("completion", shell)
    assert answer.returncode == 0 and "modules" in answer.stdout


def test_a_completion_script_is_valid_bash():
    script = glassbox("completion", "bash").stdout
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0


@guest
def test_bash_completes_verbs_and_running_machines(machine):
    script = glassbox("completion", "bash").stdout
    ask = """
COMP_WORDS=(glassbox {words}); COMP_CWORD={index}; COMP_LINE="glassbox {words}"; COMP_POINT=${{#COMP_LINE}}
$(complete -p glassbox | sed -E 's/.*-F ([^ ]+).*/\\1/') glassbox "${{COMP_WORDS[COMP_CWORD]}}" ""
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    # The command itself, as it is called in a checkout that nothing was installed from.
    script += f'\nglassbox() {{ {sys.executable} -m qemu_bridge.cli "$@"; }}\n'
    asked = (
        ("mod", 1, "modules"),
        ("ps ses", 2, machine.name),
        (f"overlay {machine.name} sock", 3, "sockets"),
        (f"maps {machine.name} 1", 3, "1"),
        (f"sym {machine.name} fat_sca", 3, "fat_scan"),
        (f"where {machine.name} module:fa", 3, "module:fat"),
    )
    for words, index, expected in asked:
        program = script + ask.format(words=words, index=index)
        answer = subprocess.run(["bash"], input=program, capture_output=True, text=True, check=False)
        assert expected in answer.stdout.split(), answer


def test_the_version_is_the_distributions():
    from qemu_bridge import __version__

    assert glassbox("--version").stdout.strip() == f"glassbox {__version__}"


def test_an_interrupt_ends_with_status_130(monkeypatch):
    monkeypatch.setattr("qemu_bridge.wire.connection.prune", lambda: (_ for _ in ()).throw(KeyboardInterrupt))
    assert main(["status"]) == 130


@guest
def test_peek_shows_what_ram_holds(machine):
    physical = 0x1000000
    row = glassbox("peek", machine.name, hex(physical), "16").stdout
    content = machine.ram.read(PhysicalAddress(physical), 16)
    assert row.startswith(f"{physical:#014x}") and content[:8].hex(" ") in row
    raw = subprocess.run(
        [sys.executable, "-m", "qemu_bridge.cli", "peek", machine.name, "16M", "4K", "--raw"],
        capture_output=True,
        check=True,
    )
    assert raw.stdout == machine.ram.read(PhysicalAddress(physical), 4096)
    assert json.loads(glassbox("peek", machine.name, "0x1000000", "4", "--json").stdout)["hex"] == content[:4].hex()


@guest
@pytest.mark.parametrize("place", ["0xfffffffff", "0x" + "f" * 30, "nonsense", "128M"])
def test_peek_outside_ram_is_one_line(machine, place):
    answer = glassbox("peek", machine.name, place)
    assert answer.returncode == 2 and len(answer.stderr.splitlines()) == 1


@guest
def test_find_finds_what_the_guest_wrote(machine):
    machine.exec("echo glassbox-was-'here' > /tmp/mark")
    answer = glassbox("find", machine.name, "glassbox-was-here", "--json")
    assert answer.returncode == 0
    for row in json.loads(answer.stdout):
        assert machine.ram.read(PhysicalAddress(row["physical"]), 17) == b"glassbox-was-here"
    shown = glassbox("find", machine.name, "--regex", "glassbox-was-h[e]re", "--limit", "1")
    assert "glassbox-was-here" in shown.stdout and "--limit" in shown.stderr
    assert glassbox("find", machine.name, "--hex", "zz").returncode == 2
    assert glassbox("find", machine.name, "--regex", "(").returncode == 2
    machine.exec("rm /tmp/mark")


@guest
def test_find_of_nothing_ends_with_status_1(machine):
    answer = glassbox("find", machine.name, "--hex", os.urandom(16).hex())
    assert (answer.returncode, answer.stdout) == (1, "")


@guest
def test_exec_gives_output_and_exit_status(machine):
    answer = glassbox("exec", machine.name, "--", "sh", "-c", "echo $0 $#; exit 3", "--", "-x")
    assert (answer.returncode, answer.stdout) == (3, "-- 1\n")
    assert glassbox("exec", machine.name).returncode == 2


@guest
def test_qmp_passes_commands_through(machine):
    command = '{"execute": "query-status"}'
    assert json.loads(glassbox("qmp", machine.name, command).stdout)["status"] == "running"
    assert json.loads(glassbox("qmp", machine.name, "query-name").stdout) == {"name": machine.name}
    for words, status in (('{"execute": 3', 2), ('{"run": "x"}', 2), ("no-such", 1)):
        assert glassbox("qmp", machine.name, words).returncode == status


@guest
def test_status_lists_every_machine(machine):
    assert machine.name in glassbox("status").stdout
    one = json.loads(glassbox("status", machine.name, "--json").stdout)
    assert one["ram_bytes"] == machine.ram.size and one["dirty_strategy"] in ("soft-dirty", "comparison")


@guest
def test_the_console_log_holds_the_boot(machine):
    answer = glassbox("console", machine.name)
    assert "glassbox: ready" in answer.stdout


@guest
def test_dirty_lists_what_was_written_since(machine):
    epoch = json.loads(glassbox("dirty", machine.name, "--json").stdout)["epoch"]
    machine.exec("echo this-is-new-here > /tmp/new")
    later = json.loads(glassbox("dirty", machine.name, "--since", str(epoch), "--json").stdout)
    assert later["epoch"] > epoch
    written = [machine.ram.layout.to_physical(offset) for offset in machine.ram.find(b"this-is-new-here\n")]
    assert written and all(any(start <= place < start + size for start, size in later["ranges"]) for place in written)
    machine.exec("rm /tmp/new")


@guest
def test_what_a_process_is_called_does_not_drive_the_terminal(machine):
    machine.exec(
        r"""cp /bin/busybox "$(printf '/tmp/x\033]0;PWN\007')"; ln -sf "$(printf '/tmp/x\033]0;PWN\007')" /tmp/sleep"""
    )
    machine.exec("/tmp/sleep 100 > /dev/null 2>&1 &")
    pid = machine.exec("pidof sleep").split()[0].decode()
    shown = glassbox("maps", machine.name, pid).stdout
    assert "/tmp/x?]0;PWN?" in shown and "\x1b" not in shown
    assert "\\u001b" in glassbox("maps", machine.name, pid, "--json").stdout
    machine.exec(f"kill {pid}; rm /tmp/x* /tmp/sleep")


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


@pytest.mark.parametrize("folder", ["/etc/passwd", "/proc/x"])
def test_run_needs_a_folder_before_it_boots(folder):
    answer = glassbox("run", "--no-window", "-o", folder)
    assert answer.returncode == 1 and folder in answer.stderr and len(answer.stderr.splitlines()) == 1


def test_logs_that_have_no_place_are_one_line(image):
    words = ("start", "homeless", "--kernel", str(image.kernel), "--initrd", str(image.initrd))
    answer = glassbox(*words, XDG_STATE_HOME="/proc/x")
    assert answer.returncode == 1 and "XDG_STATE_HOME" in answer.stderr and len(answer.stderr.splitlines()) == 1


@guest
def test_words_behind_two_dashes_are_not_dropped(machine):
    assert glassbox("ps", machine.name, "--", "garbage").returncode == 2
    assert glassbox("find", machine.name, "--", "-no-such-word-").returncode in (0, 1)
