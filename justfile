# Everything a developer does. `./bootstrap` sets up and calls these; `just` alone lists them.

set positional-arguments

export PATH := justfile_directory() / ".venv/bin:" + env("PATH")

# List the recipes.
default:
    @just --list

# Boot Alpine, list its processes from outside, draw its memory.
run *options:
    @glassbox run "$@"

# Compile the plugin that QEMU loads, and say where it is.
plugin:
    python -m tcg_plugin.build

# Put a private QEMU 11 together from Debian's packages, without root, and say where it is.
qemu11 *options:
    @python -m qemu_bridge.machine.debian_qemu "$@"

# Rebuild the programs in examples/gpu-run/programs whose sources changed: fetches a Rust from Debian's packages, without root; C needs zig.
wasm-programs *options:
    @python examples/gpu-run/programs/build.py "$@"

# Run every program of examples/gpu-run/programs on lanes and under wasmtime, and write docs/wasm-programs.md; takes minutes.
wasm-table *options:
    python docs/make_wasm_programs.py docs/wasm-programs.md "$@"

# Lint, type-check and run the tests that fit in some minutes, a process for each core.
test *options: lint
    python -m pytest -m "not long" -n auto "$@"

# The tests that take long.
test-long *options:
    python -m pytest -m long -n auto "$@"

# The short tests on a Debian that has nothing yet, such as `just test-fresh trixie somebody`; needs root and debootstrap.
test-fresh suite="trixie" user="root" *command:
    tests/fresh_root "$@"

# Format check, lint and strict types.
lint:
    ruff format --check .
    ruff check .
    mypy

# Format and mend what can be mended.
format:
    ruff format .
    ruff check --fix .

# Every performance claim, each as a ratio measured in one run; JSON goes to bench/results.
bench *options:
    python -m bench "$@"

# Rewrite requirements.lock from pyproject.toml.
lock:
    uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --group dev pyproject.toml -o requirements.lock

# Regenerate docs/api.md, the manual pages and the generated parts of docs/protocol.md, docs/overlays.md and docs/kernels.md.
docs:
    python -m qemu_bridge.wire.document docs/protocol.md
    python docs/make_overlays.py docs/overlays.md
    python docs/make_operations.py docs/kernels.md
    python docs/make_primitives.py docs/primitives.md docs/editors/gpk.tmLanguage.json
    python docs/make_api.py docs/api.md
    python docs/make_man.py docs/man/glassbox.1
    python docs/make_man.py docs/man/gpu-run.1

# Draw the pictures that README and docs show.
pictures:
    python docs/make_pictures.py
    python docs/make_roofline.py docs/kernels.md
