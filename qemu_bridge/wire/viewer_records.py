"""Records of open viewers: which there are, and which of them were told what to show."""

from __future__ import annotations

from .records import Record


class ViewerSession(Record, frozen=True):
    """A viewer that is open on a machine.

    Attributes:
        session: its number, by which `highlight` and `fly_to` choose it; no other one of this machine's daemon gets it.
        pid: of its process on its own host.
        opened_at: when it was opened, in seconds since 1970.
        view: text of the view that it shows, as ``glassbox view --at`` takes it, since its camera came to rest; empty before.
        problem: why it did not show what it was last told to; empty where it did.
        done: `ViewersTold.number` of what it was last told and has done, or given up with a `problem`; 0 for nothing yet.
    """

    session: int
    pid: int
    opened_at: float
    view: str = ""
    problem: str = ""
    done: int = 0


class ViewersTold(Record, frozen=True):
    """The viewers that were told to show something, by session, and how many bytes of RAM it has.

    A viewer whose `done` is `number` has arrived there.
    """

    number: int
    sessions: tuple[int, ...]
    total_bytes: int
