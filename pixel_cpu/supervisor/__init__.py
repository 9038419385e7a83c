"""Lanes as processes: each runs a program of its own accord, is listed, killed, started again, and ends with an exit code.

>>> found = px.processes("count.wasm", arguments=[["count.wasm", name] for name in names], directories=[Preopen("data", "/")])
>>> for event in found.events():
...     print(event.lane, event.kind, event.exit_code)
>>> found.table()["exit_code"]

More lanes than fit into memory run in waves, one after another.
"""

from .lanes import Processes
from .program import processes
from .table import NO_CODE, TABLE, Event, Status
from .wave import START, check_program

__all__ = ["NO_CODE", "START", "TABLE", "Event", "Processes", "Status", "check_program", "processes"]
