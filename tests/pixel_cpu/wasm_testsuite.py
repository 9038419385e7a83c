"""The testsuite of WebAssembly's specification, as commands: modules, calls, and what each must give.

Its files come out of Debian's source package of SpiderMonkey, which has them as scripts; ``references/wasm/testsuite.mjs`` runs these
under Node and prints what they would do. Nothing of it is in this repository.
"""

from __future__ import annotations

import json
import re
import subprocess
import tarfile
from collections import Counter
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import wasmtime
from wasm_runs import Here

from pixel_cpu.errors import LaunchError, TrapError, WasmError
from pixel_cpu.frontends.wasm import decode
from pixel_cpu.frontends.wasm.module import Kind, Module
from pixel_cpu.runtime.wasm import Instances, WasmProgram
from qemu_bridge.images.cache import cache_folder
from qemu_bridge.images.fetch import fetch
from qemu_bridge.images.recipe import RemoteFile
from qemu_bridge.images.suites import find_mirror

SOURCE = RemoteFile(
    "pool/main/m/mozjs128/mozjs128_128.14.0.orig.tar.xz",
    "a23354bb2ae48722ac3c7340677a0a7f05b72b6a48b92e685a511e7e9ab9e82e40c21b903fb980a436966f34cf6dee1b8f824c911fe0b71401ae0eedb2e95c41",
)
FOLDER = "js/src/jit-test/tests/wasm/spec/spec/"
RECORDER = Path(__file__).parents[1] / "references" / "wasm" / "testsuite.mjs"
GLOBALS = {
    "spectest.global_i32": 666,
    "spectest.global_i64": 666,
    "spectest.global_f32": 666.6,
    "spectest.global_f64": 666.6,
}
PRINTERS = ("print", "print_i32", "print_i64", "print_f32", "print_f64", "print_i32_f32", "print_f64_f64")
"""Functions of the module ``spectest``, which the suite's modules import; its globals are `GLOBALS`."""
DTYPES = {"i32": "<i4", "i64": "<i8", "f32": "<f4", "f64": "<f8"}
MOST_PAGES = 1024
"""Pages that a lane may have here: more than every test grows to that must succeed."""
FUEL = 10_000_000


def suite_folder() -> Path:
    """The suite's scripts, fetched (157 MB) at the first time; `qemu_bridge.images.fetch.Unavailable` says why that failed."""
    folder = cache_folder() / "wasm-testsuite"
    done = folder / "done"
    if not done.exists():
        folder.mkdir(parents=True, exist_ok=True)
        content = fetch(SOURCE, (find_mirror(),), folder, print)
        with tarfile.open(fileobj=BytesIO(content)) as archive:
            for member in archive:
                path, _, name = member.name.partition(FOLDER)
                if name.endswith(".wast.js") and path.count("/") == 1:
                    file = archive.extractfile(member)
                    assert file
                    (folder / Path(name).name).write_bytes(file.read())
        for kept in folder.glob(f"*-{SOURCE.name}"):
            kept.unlink()
        done.touch()
    return folder


def commands(script: Path) -> Iterator[dict[str, Any]]:
    """What a script does, in order."""
    run = subprocess.run(["node", RECORDER, script], capture_output=True, text=True, check=False)
    assert run.returncode == 0, f"{script.name}: {run.stderr[-500:]}"
    return map(json.loads, run.stdout.rstrip("\n").split("\n"))  # names in it have other ends of lines


def assemble(text: str) -> bytes | None:
    """A module's bytes; None for one whose text is at fault, which is a test of assemblers."""
    try:
        return bytes(wasmtime.wat2wasm(text))
    except wasmtime.WasmtimeError:
        return None


def is_arithmetic_nan(bits: bytes, *, is_canonical: bool) -> bool:
    """Whether the bits of a float are those of a quiet NaN; of the canonical one, of either sign."""
    width = len(bits) * 8
    mantissa = 23 if width == 32 else 52
    value = int.from_bytes(bits, "little") & ((1 << (width - 1)) - 1)
    quiet = (1 << (width - 1)) - (1 << (mantissa - 1))
    return value == quiet if is_canonical else value & quiet == quiet


def is_result(found: np.ndarray, wanted: dict[str, Any]) -> bool:
    """Whether one number is what a command wants."""
    bits = found.tobytes()
    if "nan" in wanted:
        return is_arithmetic_nan(bits, is_canonical="canonical" in wanted["nan"])
    return bits.hex() == wanted["bytes"]


def callable_functions(module: Module) -> set[int]:
    """Exported functions that take and give numbers, by number."""
    exported = {each.index for each in module.exports.values() if each.kind is Kind.FUNCTION}
    kinds = {number: module.type_of(number) for number in exported if number >= module.imported_functions}
    return {n for n, kind in kinds.items() if not any(each.is_reference for each in (*kind.parameters, *kind.results))}


class Suite:
    """Runs the commands of one script; counts how they went.

    ``as the specification says``, ``refused`` (what is not supported, by name, in `reasons`), ``not run`` (texts that no assembler takes,
    references as operands, several modules linked), and `faults`: all else.
    """

    def __init__(self, script: Path, device: Any) -> None:
        self.script, self.device = script, device
        self.counts: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.faults: list[str] = []
        self._instances: dict[int, Instances | None] = {}

    def run(self) -> Suite:
        for command in commands(self.script):
            try:
                outcome = getattr(self, f"_{command['command']}")(command)
            except (WasmError, LaunchError) as error:
                # Functions of other modules of the script would be linked.
                outcome = "not run" if " of the host; give it with imports=" in str(error) else "refused"
                self.reasons[re.sub(r"\b\d+\b|0x\w+", "N", str(error))] += 1
            if outcome not in ("as the specification says", "refused", "not run"):
                self.faults.append(f"{self.script.name}: {outcome}: {json.dumps(command)[:400]}")
                outcome = "faults"
            self.counts[outcome] += 1
        return self

    def _instantiate(self, text: str) -> Instances | None:
        data = assemble(text)
        if data is None:
            return None
        module = decode(data)
        pages = None
        if module.memories:
            limits = module.memories[0]
            pages = max(limits.minimum, min(MOST_PAGES, 1 << 16 if limits.maximum is None else limits.maximum))
        others = [each for each in module.imports if each.kind is not Kind.FUNCTION]
        if any(each.module != "spectest" for each in others):
            return None  # other modules of the script would share theirs
        globals_ = {each.full_name: GLOBALS[each.full_name] for each in others if each.kind is Kind.GLOBAL}
        program = WasmProgram(module, pages, globals_=globals_)
        names = {f"{each.module}.{each.name}" for each in module.imported(Kind.FUNCTION)}
        imports = {name: lambda lane, *operands: None for each in PRINTERS if (name := f"spectest.{each}") in names}
        if isinstance(self.device, Here):
            self.device.compile([program.kernel(number) for number in sorted(callable_functions(module))])
        return program.instances(1, device=self.device, imports=imports, fuel=FUEL)

    def _module(self, command: dict[str, Any]) -> str:
        self._instances[command["number"]] = None
        found = self._instances[command["number"]] = self._instantiate(command["source"])
        return "as the specification says" if found else "not run"

    def _rejected(self, command: dict[str, Any]) -> str:
        text = command["does"]["source"]
        is_text = command["command"] == "assert_malformed" and not re.match(r"\s*\(module\s+(\$\S+\s+)?binary", text)
        data = None if is_text else assemble(text)
        if data is None:
            return "not run"
        try:
            decode(data)
        except WasmError:
            return "as the specification says"
        return "accepted"

    _assert_malformed = _assert_invalid = _rejected

    def _linked(self, command: dict[str, Any]) -> str:
        return "not run"

    _register = _assert_unlinkable = _linked

    def _call(self, command: dict[str, Any]) -> tuple[np.ndarray, ...] | None:
        """The results of a command's call; None where it cannot be made here."""
        does = command["does"]
        held = self._instances.get(does.get("of"))
        wanted = command.get("results", [])
        plain = all(each.get("type") in DTYPES for each in does.get("given", [{}]))
        if held is None or not plain or not all("nan" in each or each.get("type") in DTYPES for each in wanted):
            return None
        given = [np.frombuffer(bytes.fromhex(each["bytes"]), DTYPES[each["type"]]) for each in does["given"]]
        found = held.call(does["invoke"], *given)
        return () if found is None else found if isinstance(found, tuple) else (found,)

    def _assert_return(self, command: dict[str, Any]) -> str:
        try:
            found = self._call(command)
        except TrapError as error:
            return f"trapped: {error}"
        if found is None:
            self._instances[command["does"].get("of")] = None  # what follows may ask for what this would have set
            return "not run"
        wanted = command.get("results", [])
        if command["command"] == "invoke" or (
            len(found) == len(wanted)
            and all(is_result(one[0], other) for one, other in zip(found, wanted, strict=True))
        ):
            return "as the specification says"
        return f"gave {[each[0].tobytes().hex() for each in found]}"

    _invoke = _assert_return

    def _assert_trap(self, command: dict[str, Any]) -> str:
        try:
            does = command["does"]
            found = self._instantiate(does["source"]) if "source" in does else self._call(command)
        except TrapError as error:
            words = str(error).split(" ")
            is_named = command["message"].split(" ")[0] in words or command["command"] == "assert_exhaustion"
            return "as the specification says" if is_named else f"trapped otherwise: {error}"
        return "not run" if found is None else "did not trap"

    _assert_exhaustion = _assert_trap
