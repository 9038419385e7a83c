"""Runs every program of examples/gpu-run/programs on lanes and under wasmtime, and writes docs/wasm-programs.md.

``python docs/make_wasm_programs.py docs/wasm-programs.md`` takes minutes; ``--jobs`` runs some at once. With ``--without-lanes`` the column for lanes
says so.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/pixel_cpu"))

import wasi_programs  # noqa: E402  # it lies among the tests

_HEAD = """# Programs that run on lanes

Each program is compiled by an ordinary rustc (wasm32-wasip1, opt-level z, LTO) or clang (wasm32-wasi, -Oz), and is run with every list of
arguments that its source names, one a lane, all at once, and under wasmtime, one after another. Compared are standard output, exit code or
trap, and the files it left; standard error where the program ends by itself.
[Sources](../examples/gpu-run/programs); `just wasm-programs` rebuilds the modules, `just wasm-table` makes this page.

| program | uses | runs | ends with | on lanes |
|---|---|---|---|---|
"""
MARK = "<!-- modules: {} -->"


def marked() -> str:
    """The line that says which modules the page is about."""
    return MARK.format(wasi_programs.build["digest"](wasi_programs.build["DIGESTS"].read_bytes()))


def cells(program: wasi_programs.Program) -> tuple[str, str, str]:
    """The cells of a row that the source alone says."""
    suffix = {"Rust": "rs", "C": "c"}[program.language]
    link = f"[{program.name}](../examples/gpu-run/programs/{program.name}.{suffix})"
    return link, program.uses.replace("|", "\\|"), str(len(program.cases))


def row(name: str, *, with_lanes: bool = True) -> str:
    """The row of a program: both runs made now."""
    program = wasi_programs.PROGRAMS[name]
    wanted = [wasi_programs.run_on_wasmtime(program, case) for case in program.cases]
    ends = ", ".join(dict.fromkeys(each.end for each in wanted))
    verdict = "not run"
    if with_lanes:
        try:
            verdict = wasi_programs.compare(program, wasi_programs.run_on_lanes(program), wanted)
        except Exception as error:  # whatever it is, the page says so
            verdict = f"{type(error).__name__}: {str(error).splitlines()[0][:120]}".replace("|", "\\|")
    return "| " + " | ".join((*cells(program), ends, verdict)) + " |"


def page(rows: list[str]) -> str:
    """The whole page."""
    same = sum(each.endswith("| same |") for each in rows)
    others = "; the others were not run there yet" if any(each.endswith("| not run |") for each in rows) else ""
    summary = f"{same} of {len(rows)} programs do the same on lanes as under wasmtime{others}.\n\n" if same else ""
    return f"{_HEAD}{chr(10).join(rows)}\n\n{summary}{marked()}\n"


def main() -> int:
    """Make the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", type=Path)
    parser.add_argument("--without-lanes", action="store_true")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--row", help="print the row of one program")
    options = parser.parse_args()
    if options.row:
        print(row(options.row, with_lanes=not options.without_lanes))
        return 0

    def one(name: str) -> str:
        # A process each: what one program does to a worker is no other's business.
        extra = ["--without-lanes"] if options.without_lanes else []
        command = [sys.executable, __file__, str(options.page), "--row", name, *extra]
        found = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
        print(found, file=sys.stderr, flush=True)
        return found

    with ThreadPoolExecutor(options.jobs) as pool:
        rows = list(pool.map(one, wasi_programs.PROGRAMS))
    options.page.write_text(page(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
