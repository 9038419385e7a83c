"""``python -m qemu_bridge.cli`` is ``glassbox``."""

import sys

from . import main

sys.exit(main())
