"""The command ``gpu-run``: an ordinary WASI program, unchanged, in thousands of lanes.

What lanes print goes to standard output and standard error; what is said of them goes to standard error. Exit status: 0 all lanes gave 0,
1 one did not, 2 wrong usage, 124 the time was over, 130 and 143 interrupted; a single lane's own code (docs/gpu-run.md).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from qemu_bridge.errors import EXIT_FAILED, EXIT_USAGE, GlassBoxError
from qemu_bridge.host.startup import INTERRUPTED, release

from .parser import make_parser

__all__ = ["main", "make_parser"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status; an error is one line on standard error."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    split = words.index("--") if "--" in words else len(words)
    parser = make_parser()
    options = parser.parse_args(words[:split])
    options.rest = words[split + 1 :]
    try:
        if options.completion:
            import shtab

            sys.stdout.write(shtab.complete(parser, shell=options.completion))
            return 0
        if options.module is None:
            parser.print_usage(sys.stderr)
            print("gpu-run: no MODULE is given; 'gpu-run --help' says more", file=sys.stderr)
            return EXIT_USAGE
        # Loaded for those who run something.
        from .command import explain, run

        release()
        status: int = (explain if options.explain else run)(options)
        sys.stdout.flush()
        return status
    except GlassBoxError as error:
        print(f"gpu-run: {error}", file=sys.stderr)
        return int(error.exit_status)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone (`gpu-run count.wasm | head`).
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        print(f"gpu-run: {error.strerror or error}{f': {error.filename}' if error.filename else ''}", file=sys.stderr)
        return EXIT_FAILED
