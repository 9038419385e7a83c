"""The list of all topics: functions that make a request of a question, if they can account for all of its words.

=====================  ==================================================================================
`machine`              the machine's state, console and events; pause, resume, stop; commands in the guest
`processes`            processes, threads, stack traces
`files_and_sockets`    what processes have: memory areas, open files, sockets
`kernel_tables`        modules, slab caches, files in memory, mounts, the log, the kernel's version
`table_questions`      rows of any table by conditions, numbers and order (`tables` says which)
`memory`               which memory, where, how much; showing it in a viewer
`places`               bytes at an address, and where bytes are
`symbols`              symbols and structs
`moments`              captures, and what changed
`pictures`             pictures, videos, viewers and their colours
`execution`            traces
`help`                 what can be asked
=====================  ==================================================================================
"""

from __future__ import annotations

from collections.abc import Callable

from .execution import hottest, tracing
from .files_and_sockets import memory_map, open_files, sockets
from .help import flows, help_, only_a_name, tables, targets
from .kernel_tables import files, kernel_version, log, modules, mounts, slabs
from .machine import console, control, events, machines, run_in_guest, status
from .memory import by_class, viewer_or_where
from .moments import capture, changes
from .pictures import clear_highlight, colouring, hiding, pictures, viewers
from .places import find, go_to_byte, identify, peek
from .processes import processes, stack_traces, threads
from .reading import Reading
from .request import Meaning
from .symbols import bare_symbol, struct, symbols
from .table_questions import table_topics

Topic = Callable[[Reading], Meaning | None]
TABLE_TOPICS = tuple(table_topics())
TOPICS_WITH_NEGATION: tuple[Topic, ...] = (viewer_or_where, hiding, *TABLE_TOPICS)
"""Those topics that make something of what is said not to be."""
TOPICS: tuple[Topic, ...] = (
    help_,
    status,
    machines,
    kernel_version,
    processes,
    threads,
    memory_map,
    open_files,
    sockets,
    stack_traces,
    modules,
    slabs,
    files,
    mounts,
    log,
    console,
    tables,
    targets,
    events,
    flows,
    symbols,
    bare_symbol,
    struct,
    identify,
    peek,
    find,
    changes,
    capture,
    control,
    run_in_guest,
    pictures,
    viewers,
    tracing,
    hottest,
    viewer_or_where,
    by_class,
    go_to_byte,
    clear_highlight,
    colouring,
    hiding,
    only_a_name,
    *TABLE_TOPICS,
)
"""All topics. Each answers what it can account for wholly; where several give different answers the question is unclear."""
