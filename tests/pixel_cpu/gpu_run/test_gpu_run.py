"""The command as a process: signals, pipes, help, completion."""

from __future__ import annotations

import os
import pty
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from gpu_lanes import MANY

from qemu_bridge import __version__

COMMAND = (sys.executable, "-m", "pixel_cpu.gpu_run")


def gpu_run(*words, **options):
    return subprocess.run([*COMMAND, *map(str, words)], capture_output=True, text=True, check=False, **options)


def workers_of(pid):
    """Processes whose parent is `pid`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(path.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_whole_outputs_of_the_first_wave_and_nothing_else(number, status, tmp_path):
    # Three lanes fit at once: the first wave ends, the second has a lane that does not.
    fates = ["echo zero", "echo one", "echo two", "echo three", "spin", "echo five", "echo six"]
    (tmp_path / "in.txt").write_text("\n".join(fates) + "\n")
    words = ("--args-file", tmp_path / "in.txt", "--pages", "1", "--memory", "300K", "--device", "cpu", "-v")
    out_dir = ("--out-dir", tmp_path / "lane-{id}", "--stdout", "dir")
    with subprocess.Popen(
        [*COMMAND, MANY, *words, *out_dir], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    ) as process:
        while not (tmp_path / "lane-3/stdout").exists():
            assert process.poll() is None, process.stderr.read()
            os.sched_yield()
        workers = workers_of(process.pid)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert process.returncode == status and out == "" and "Traceback" not in err, err
    names = {path.parent.name: path.read_text() for path in tmp_path.glob("lane-*/stdout")}
    assert names == {
        "lane-0": "zero\n",
        "lane-1": "one\n",
        "lane-2": "two\n",
        "lane-3": "three\n",
        "lane-4": "spinning\n",
        "lane-5": "five\n",
    } | {name: "" for name in names if name == "lane-6"}
    assert workers and not any(Path(f"/proc/{each}").exists() for each in workers)


def test_a_signal_leaves_whole_lanes_in_merged_output():
    words = ("--lanes", "3", "--device", "cpu", "--env", "X={lane}")
    with subprocess.Popen(
        [*COMMAND, MANY, *words, "--", "spin"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        # The first lane is shown as it goes.
        assert process.stdout.readline() == b"spinning\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and out == b"" and b"the output of 2 lanes that had not ended is left out" in err
    assert b"Traceback" not in err


def test_a_reader_that_leaves_ends_it_quietly():
    with subprocess.Popen(
        [*COMMAND, MANY, "--lanes", "3000", "--pages", "1", "--device", "cpu", "--", "echo", "x" * 1000],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout.read(3) == b"xxx"
        process.stdout.close()
        err = process.stderr.read()
    assert (process.returncode, err) == (0, b"")


@pytest.mark.parametrize("plain", [False, True])
def test_progress_is_on_a_terminal_only_and_without_colours(plain, tmp_path):
    own, its = pty.openpty()
    environment = os.environ | {"TERM": "dumb" if plain else "xterm", "NO_COLOR": "1"}
    with subprocess.Popen(
        [*COMMAND, MANY, "--device", "cpu", "--", "echo"], stdout=subprocess.PIPE, stderr=its, env=environment
    ) as process:
        os.close(its)
        assert process.stdout.read() == b""
    said = b""
    while True:
        try:
            said += os.read(own, 4096)
        except OSError:  # the other end is closed
            break
    os.close(own)
    assert (b"of 1 lanes done" in said) != plain and b"\x1b[3" not in said
    assert b"1 lane on cpu: 1 gave 0" in said


def test_version_and_help_say_what_there_is():
    assert gpu_run("--version").stdout == f"gpu-run {__version__}\n"
    text = gpu_run("--help").stdout
    assert all(word in text for word in ("--args-file", "--explain", "--out-dir", "merge", "auto"))


@pytest.mark.parametrize("words", [(), ("--lanes", "0", "x"), ("--what",), ("x.wasm", "word"), ("--fuel", "x", "m")])
def test_wrong_usage_is_status_2_and_a_line(words):
    done = gpu_run(*words)
    assert done.returncode == 2 and done.stdout == "" and "Traceback" not in done.stderr
    assert "gpu-run: " in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_script_knows_the_options(shell):
    done = gpu_run("--completion", shell)
    assert done.returncode == 0 and "args-file" in done.stdout and "webgpu" in done.stdout


def test_bash_completes_options_choices_and_files(tmp_path):
    (tmp_path / "count.wasm").touch()
    script = gpu_run("--completion", "bash").stdout
    ask = """
COMP_WORDS=(gpu-run {words}); COMP_CWORD={index}; COMP_LINE="gpu-run {words}"; COMP_POINT=${{#COMP_LINE}}
$(complete -p gpu-run | sed -E 's/.*-F ([^ ]+).*/\\1/') gpu-run "${{COMP_WORDS[COMP_CWORD]}}" ""
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    for words, index, wanted in (("--arg", 1, "--args-file"), ("--device w", 2, "webgpu"), ("cou", 1, "count.wasm")):
        program = script + ask.format(words=words, index=index)
        done = subprocess.run(["bash"], input=program, capture_output=True, text=True, check=False, cwd=tmp_path)
        assert wanted in done.stdout.split(), done


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_fish_completes_options_and_choices(tmp_path):
    (tmp_path / "gpu-run.fish").write_text(gpu_run("--completion", "fish").stdout)
    for typed, wanted in (("gpu-run --arg", "--args-file"), ("gpu-run --device w", "webgpu")):
        done = subprocess.run(
            ["fish", "--no-config", "-c", f"source {tmp_path}/gpu-run.fish; complete -C '{typed}'"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert wanted in [line.split("\t")[0] for line in done.stdout.splitlines()]


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
def test_zsh_takes_the_script(tmp_path):
    (tmp_path / "_gpu-run").write_text(gpu_run("--completion", "zsh").stdout)
    assert subprocess.run(["zsh", "-n", tmp_path / "_gpu-run"], check=False).returncode == 0
