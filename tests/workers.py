"""How several processes share the tests: those that share a guest run in one process, which boots it once."""

from __future__ import annotations

from kernels import RELEASES
from xdist.scheduler import LoadScopeScheduling


def group_of(nodeid: str) -> str:
    """What a test runs together with: the tests of its file, or those of a kernel that no image comes with."""
    path, _, rest = nodeid.partition("::")
    parameters = rest.partition("[")[2].removesuffix("]").split("-")
    return next((f"kernel {release}" for release in RELEASES if release in parameters), path)


class ByGuest(LoadScopeScheduling):
    """Shares out groups, not tests.

    Not by marks and ``--dist loadgroup``: xdist 3.8 writes groups to an attribute that pytest 9.2 no longer reads.
    """

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)
