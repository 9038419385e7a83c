"""A network's switch: ``python -m qemu_bridge.network NAME`` returns when it listens and leaves it running."""

from __future__ import annotations

import os
import sys

from .place import acquire_lock, release


def main() -> int:
    """Entry point; a second switch for the same name ends at once."""
    name = sys.argv[1]
    lock = acquire_lock(name)
    if lock is None:
        return 0
    try:
        # Imported here: who lost the race needs none of it.
        import asyncio
        import logging

        from .service import Service, listen

        listener = listen(name)
        # It outlives the machine that started it, whose daemon must not have to wait for it.
        if os.fork():
            os._exit(0)
        os.setsid()
        logging.basicConfig(format="%(asctime)s %(name)s %(levelname)s %(message)s", level=logging.INFO)
        asyncio.run(Service(name).run(listener))
    finally:
        release(name, lock)
    return 0


if __name__ == "__main__":
    sys.exit(main())
