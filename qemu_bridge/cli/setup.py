"""The verbs doctor, config and completion."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Callable

from ..errors import GlassBoxError
from ..host.settings import iter_effective, settings_path, value_of
from ..memory.addresses import parse_size
from .options import (
    COMPLETE_NAME,
    COMPLETE_OVERLAY,
    COMPLETE_PID,
    COMPLETE_SYMBOL,
    COMPLETE_TARGET,
    Verbs,
    add_json,
    add_verb,
    print_json,
    print_lines,
    print_table,
    say,
)

SHELLS = ("bash", "zsh", "fish", "tcsh")

# Connection files name the running machines; asking the daemons would take longer than a user waits for a tab.
_LIST_MACHINES = (
    'ls "${XDG_RUNTIME_DIR:+$XDG_RUNTIME_DIR/glassbox}" "/tmp/glassbox-$(id -u)" 2>/dev/null | sed -n "s/\\.json$//p"'
)
# A colon is part of a target, so bash must not break words at it.
_COMPLETE_TARGET = f"""COMP_WORDBREAKS="${{COMP_WORDBREAKS//:}}"
{COMPLETE_TARGET}() {{ glassbox targets "${{COMP_WORDS[2]}}" "$1" 2>/dev/null; }}
{COMPLETE_PID}() {{ {COMPLETE_TARGET} "pid:$1" | sed "s/^pid://"; }}
{COMPLETE_SYMBOL}() {{ {COMPLETE_TARGET} "sym:$1" | sed "s/^sym://"; }}
{COMPLETE_OVERLAY}() {{ compgen -W "list $(glassbox overlay "${{COMP_WORDS[2]}}" 2>/dev/null | sed "1d;s/ .*//")" -- "$1"; }}"""
# Words of a verb's own begin in zsh at the verb; in fish the line begins with the command.
_ZSH = f"""{COMPLETE_NAME}() {{ compadd -- $({_LIST_MACHINES}) }}
{COMPLETE_TARGET}() {{ compadd -- $(glassbox targets "${{words[2]}}" "$PREFIX" 2>/dev/null) }}
{COMPLETE_PID}() {{ compadd -- $(glassbox targets "${{words[2]}}" "pid:$PREFIX" 2>/dev/null | sed "s/^pid://") }}
{COMPLETE_SYMBOL}() {{ compadd -- $(glassbox targets "${{words[2]}}" "sym:$PREFIX" 2>/dev/null | sed "s/^sym://") }}
{COMPLETE_OVERLAY}() {{ compadd -- list $(glassbox overlay "${{words[2]}}" 2>/dev/null | sed "1d;s/ .*//") }}"""
_FISH = f"""function _glassbox_targets_of
  set -l words (commandline -opc | string match -v -- "-*")
  glassbox targets $words[3] $argv[1](commandline -ct) 2>/dev/null | string replace -r -- "^$argv[1]" ""
end
function {COMPLETE_NAME}
  sh -c '{_LIST_MACHINES.replace("'", "")}'
end
function {COMPLETE_TARGET}
  _glassbox_targets_of ""
end
function {COMPLETE_PID}
  _glassbox_targets_of pid:
end
function {COMPLETE_SYMBOL}
  _glassbox_targets_of sym:
end
function {COMPLETE_OVERLAY}
  set -l words (commandline -opc | string match -v -- "-*")
  echo list
  glassbox overlay $words[3] 2>/dev/null | sed "1d;s/ .*//"
end"""
_PREAMBLE = {
    "bash": f'{COMPLETE_NAME}() {{ compgen -W "$({_LIST_MACHINES})" -- "$1"; }}\n{_COMPLETE_TARGET}',
    "zsh": _ZSH,
    "fish": _FISH,
}


def add_verbs(verbs: Verbs) -> None:
    """Add this module's verbs to the parser."""
    add_json(add_verb(verbs, "doctor", doctor, "glassbox doctor"))
    add_json(add_verb(verbs, "config", config, "glassbox config"))
    parser = add_verb(
        verbs,
        "completion",
        completion,
        "glassbox completion bash > ~/.local/share/bash-completion/completions/glassbox",
    )
    parser.add_argument("shell", choices=SHELLS, help="which shell to complete for")


def config(options: argparse.Namespace) -> None:
    """Print every setting with its value and where that comes from: a variable, the file, or the default."""
    rows = list(iter_effective())
    if options.json:
        print_json([{name: getattr(row, name) for name in ("name", "value", "origin", "doc")} for row in rows])
        return
    print_table([[row.name, str(row.value) or "-", row.origin] for row in rows], ("setting", "value", "origin"))
    say(f"the file is {settings_path()}{'' if settings_path().exists() else ', which does not exist'}")


def doctor(options: argparse.Namespace) -> int:
    """Check this host for QEMU, its trace plugin, Vulkan, shared memory, images; exit status 1 if something is missing."""
    findings = [_check(name, check) for name, check in CHECKS.items()]
    if options.json:
        print_json(findings)
    else:
        for finding in findings:
            print_lines(f"{'ok  ' if finding['ok'] else 'FAIL'}  {finding['name']:14} {finding['detail']}")
    return 0 if all(finding["ok"] for finding in findings) else 1


def completion(options: argparse.Namespace) -> None:
    """Print a completion script for a shell."""
    import shtab

    sys.stdout.write(shtab.complete(options.parser, shell=options.shell, preamble=_PREAMBLE))


def _check(name: str, check: Callable[[], str]) -> dict[str, object]:
    try:
        return {"name": name, "ok": True, "detail": check()}
    except (GlassBoxError, OSError) as error:
        detail = str(error)
        advice = _ADVICE.get(name, "")
        return {"name": name, "ok": False, "detail": detail if ";" in detail or not advice else f"{detail}; {advice}"}


def _qemu() -> str:
    from tcg_plugin import abi

    from ..machine.config import find_qemu, qemu_release
    from ..wire.trace_records import capability_names

    path = find_qemu()
    release = qemu_release(path)
    api = abi.plugin_api(release)
    able = ", ".join(capability_names(abi.capabilities(api)))
    return f"{path}, release {'.'.join(map(str, release))}, plugin API {api}: plugins may {able}"


def _plugin() -> str:
    from ..machine.config import MachineConfig, find_plugin, find_qemu

    return str(find_plugin(find_qemu(), MachineConfig("doctor")))


def _open_files() -> str:
    from ..daemon.descriptors import connection_limit, raise_descriptor_limit

    raise_descriptor_limit()
    return f"enough for {connection_limit()} connections to each socket of a daemon"


def _extras() -> str:
    import importlib.util

    names = {"textual": "top", "fastapi": "serve", "jupyter_rfb": "notebook"}
    missing = [extra for package, extra in names.items() if importlib.util.find_spec(package) is None]
    return (
        f"not installed: {', '.join(missing)}; 'pip install glassbox-qemu[{','.join(missing)}]'" if missing else "all"
    )


def _graphics() -> str:
    answer = subprocess.run([sys.executable, "-m", "viewer", "adapter"], capture_output=True, text=True, check=False)
    if answer.returncode:
        raise GlassBoxError(answer.stderr.strip().removeprefix("glassbox: ") or "the viewer does not start")
    return answer.stdout.strip()


def _packages() -> str:
    import importlib.metadata

    # Folder names are import names, and another distribution may install a `viewer` of its own.
    owners = importlib.metadata.packages_distributions()
    for package in ("qemu_bridge", "viewer", "tcg_plugin"):
        foreign = set(owners.get(package, ())) - {"glassbox-qemu"}
        if foreign:
            raise GlassBoxError(
                f"package {package!r} also comes from {', '.join(foreign)}; install glassbox-qemu into an environment of its own"
            )
    return "no other distribution installs packages of these names"


def _ram() -> str:
    from ..machine.config import check_ram_space
    from ..wire import connection

    folder = connection.ram_folder()
    check_ram_space(folder, parse_size(str(value_of("memory"))))
    return f"{folder}, {shutil.disk_usage(folder).free >> 20} MiB free"


def _dirty() -> str:
    from ..memory.soft_dirty import host_has_soft_dirty

    return "soft-dirty" if host_has_soft_dirty() else "comparison (this kernel has no soft-dirty)"


def _images() -> str:
    from ..images import find_image, iter_recipes

    built = [name for name in iter_recipes() if find_image(name)]
    return f"built: {', '.join(built) or 'none yet'}"


def _runtime_folder() -> str:
    from ..wire import connection

    return str(connection.runtime_folder())


CHECKS: dict[str, Callable[[], str]] = {
    "qemu": _qemu,
    "trace plugin": _plugin,
    "graphics": _graphics,
    "packages": _packages,
    "shared memory": _ram,
    "dirty pages": _dirty,
    "images": _images,
    "runtime folder": _runtime_folder,
    "open files": _open_files,
    "extras": _extras,
}
_ADVICE = {
    "qemu": "install qemu-system-x86 9.2 or later, or point GLASSBOX_QEMU at it",
    "trace plugin": "install a C compiler and libglib2.0-dev; machines run without it, but cannot be traced",
    "graphics": "install mesa-vulkan-drivers; everything but pictures works without",
    "packages": "install glassbox-qemu into an environment of its own",
    "shared memory": "mount a larger tmpfs, in a container with --shm-size=2g, or set GLASSBOX_RAM_DIR",
    "images": "build one with 'glassbox image build alpine'",
    "runtime folder": "set XDG_RUNTIME_DIR to a folder of yours",
    "open files": "raise the limit of open files (ulimit -Hn)",
}
"""The way out where the reason itself names none."""
