"""``python -m pixel_cpu.gpu_run`` is ``gpu-run``."""

import sys

from . import main

sys.exit(main())
