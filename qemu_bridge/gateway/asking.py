"""What a question in words is answered with: one record for the command line, HTTP and language models.

An understood question has ``understood``, ``command``, ``operation``, ``arguments``, ``answer`` and ``note``; one that is not certain has
``understood`` null, ``reason`` and ``alternatives``. The answer is what ``--json`` of the command prints.
"""

from __future__ import annotations

from typing import Any

from ..memory.addresses import PAGE_SHIFT
from .rows import shape_rows, sum_by_class
from .understanding import EXAMPLES, Request, Unsure

Record = dict[str, Any]
NO_VIEWER = "no viewer is open, so this is where it is"
"""The note where memory was to be shown."""
OF_A_SHELL = "this is done by the command alone"
"""The note where no operation answers."""


def describe(request: Request, machine: str) -> Record:
    """What a question was understood as, about `machine`."""
    return {
        "understood": request.says,
        "command": request.command_text(machine),
        "operation": request.operation,
        "arguments": dict(request.arguments),
    }


def describe_unsure(unsure: Unsure, machine: str) -> Record:
    """Why a question was not understood, and what may have been meant."""
    choices = [describe(request, machine) for request in unsure.alternatives]
    return {"understood": None, "reason": unsure.reason, "alternatives": choices}


def where_instead(request: Request) -> Request:
    """Where the memory is that no viewer can show; `request` itself if it is not to be shown, or is nothing."""
    target = request.arguments.get("target", "")
    if request.operation != "highlight" or not target:
        return request
    return Request(request.says, ("resolve", request.words[1], target), "resolve", {"target": target})


def shape_answer(request: Request, result: Any) -> Any:  # noqa: ANN401  # any JSON
    """The answer in the `result` of the operation, as JSON: the rows that are wanted, sums, or how many there are."""
    if request.words[0] == "call":
        return result  # which prints all of it
    value = result["value"] if isinstance(result, dict) and "value" in result else result
    if request.operation == "overlay":
        rows = shape_rows(value["rows"], request.shape, value["columns"])
        return len(rows) if request.shape.count else {**value, "rows": rows, "skipped": result["skipped"]}
    if "--by-class" in request.words:
        return sum_by_class((each["page_class"], each["size"]) for each in value["ranges"])
    if "--total" in request.words:
        return {
            "total_bytes": value["total_bytes"],
            "pages": value["total_bytes"] >> PAGE_SHIFT,
            "grade": value["grade"],
        }
    if request.operation == "read_memory":
        ((address, length),) = request.arguments["ranges"]
        space = request.arguments.get("space", "physical")
        return {space: f"{address:#x}", "length": length, "hex": value[0]}
    return value


def own_answer(request: Request) -> Any:  # noqa: ANN401  # any JSON
    """The answer of a request that no operation answers; None if only its command does."""
    return list(EXAMPLES) if request.words[0] == "ask" else None
