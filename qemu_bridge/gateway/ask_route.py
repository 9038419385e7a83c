"""The route for questions in words: ``POST /api/machines/NAME/ask`` with ``{"question": "…"}``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import msgspec
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from ..client import AsyncClient, Client
from ..errors import UsageError
from ..wire.json_text import encode_json
from ..wire.messages import decode_arguments
from ..wire.operations import BY_NAME
from .access import Access
from .answers import json_response
from .asking import NO_VIEWER, OF_A_SHELL, Record, describe, describe_unsure, own_answer, shape_answer, where_instead
from .machines import Machines
from .operation_routes import read_body, unless_gone
from .paths import files_folder, place_paths
from .understanding import GuestNames, Request, understand


class Question(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a request: the `question`, and whether it is only to be understood."""

    question: str
    dry_run: bool = False


async def answer_question(request: HttpRequest, machines: Machines, access: Access, name: str) -> Response:
    """The answer to a question about machine `name`, as ``glassbox ask --json`` gives it; what is not allowed is understood, not done.

    `UsageError` for a body that is no question.
    """
    asked = _decode(await read_body(request, "ask"))
    client = machines.client(name)
    names = GuestNames(cast(Client, _Blocking(client)), files_folder(name), are_bare=True)
    meaning = await asyncio.to_thread(understand, asked.question, names, name)
    if not isinstance(meaning, Request):
        return json_response(encode_json(describe_unsure(meaning, name)))
    found: Record = {**describe(meaning, name), "answer": None, "note": "dry run"}
    if not asked.dry_run:
        found |= await unless_gone(request, _answer(meaning, machines, access, name), machines.ending)
    return json_response(encode_json(found))


def _decode(body: bytes) -> Question:
    try:
        asked = msgspec.json.decode(body, type=Question)
    except (msgspec.DecodeError, ValueError) as error:
        raise UsageError(f'{error}; ask with {{"question": "what processes are running?"}}') from None
    if not asked.question.strip():
        raise UsageError("nothing is asked; ask 'what can I ask?'")
    return asked


async def _answer(meaning: Request, machines: Machines, access: Access, name: str) -> Record:
    """``answer`` and ``note`` of what is understood."""
    if not meaning.operation:
        own = own_answer(meaning)
        return {"answer": own, "note": "" if own else OF_A_SHELL}
    refusal = access.refuses(BY_NAME[meaning.operation])
    if refusal:
        return {"answer": None, "note": refusal}
    done = meaning
    if meaning.operation == "highlight" and not await machines.client(name).viewers():
        done = where_instead(meaning)
    operation = BY_NAME[done.operation]
    arguments = decode_arguments(operation, encode_json(dict(done.arguments)))
    result = await machines.ask(name, operation, place_paths(name, operation, arguments))
    return {"answer": shape_answer(done, msgspec.json.decode(result)), "note": "" if done is meaning else NO_VIEWER}


class _Blocking:
    """The methods of an asynchronous client for a thread that waits for their results."""

    def __init__(self, client: AsyncClient) -> None:
        self._client, self._loop = client, asyncio.get_running_loop()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # any method of a client, or its name
        found = getattr(self._client, name)
        return self._waiting(found) if callable(found) else found

    def _waiting(self, method: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *words: asyncio.run_coroutine_threadsafe(method(*words), self._loop).result()
