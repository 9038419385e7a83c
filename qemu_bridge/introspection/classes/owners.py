"""The owners of one machine's pages, and their numbers.

Number 0 means no owner, 1 the kernel, pid + 1 a process; every other owner gets the next free number from 2^24 on and
keeps it while it exists (pids stay below `PID_LIMIT`, ``include/linux/threads.h``).
"""

from __future__ import annotations

from ...wire.records import Owner

NO_OWNER = Owner(0, 0, "", "nobody")
KERNEL = Owner(1, 0, "kernel", "kernel")
FIRST_NUMBER = 1 << 24
PID_LIMIT = 1 << 22
"""No pid is as large (PID_MAX_LIMIT); a guest that says so lies, and numbers of processes must not reach `FIRST_NUMBER`."""
_MAX_NAME = 1024


def owner_of(pid: int, name: str) -> Owner:
    """The owner of a process's pages; its id stays the same from one page map to the next."""
    return Owner(pid + 1, pid, name)


class OwnerBook:
    """Owners by number, and numbers by kind and key of an owner."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, object], int] = {}
        self._others: list[Owner | None] = []
        self._processes: dict[int, Owner] = {}
        self.edition = 0
        """Counts the changes."""

    def set_processes(self, owners: list[Owner]) -> None:
        """Replace all processes by these."""
        self._processes = {owner.owner_id: owner for owner in owners}
        self.edition += 1

    def number(self, kind: str, key: object, name: str, pid: int = 0, detail: str = "") -> int:
        """The number of the owner with this `kind` and `key`; updates its other fields."""
        number = self._numbers.get((kind, key))
        if number is None:
            number = self._numbers[(kind, key)] = FIRST_NUMBER + len(self._others)
            self._others.append(None)
        known = self._others[number - FIRST_NUMBER]
        if known is None or (known.name, known.pid, known.detail) != (name[:_MAX_NAME], pid, detail):
            self._others[number - FIRST_NUMBER] = Owner(number, pid, name[:_MAX_NAME], kind, detail)
            self.edition += 1
        return number

    def get(self, number: int) -> Owner:
        """The owner with that number, `NO_OWNER` where there is none."""
        if number >= FIRST_NUMBER and number - FIRST_NUMBER < len(self._others):
            return self._others[number - FIRST_NUMBER] or NO_OWNER
        return {0: NO_OWNER, 1: KERNEL}.get(number) or self._processes.get(number, NO_OWNER)

    def __len__(self) -> int:
        return len(self._others)

    def owners(self, numbers: list[int]) -> dict[int, Owner]:
        """The owners with `numbers`, and `NO_OWNER`, the kernel and every process."""
        found = {NO_OWNER.owner_id: NO_OWNER, KERNEL.owner_id: KERNEL} | self._processes
        return found | {number: self.get(number) for number in numbers if number not in found}
