"""Who is let in: the checks that every request passes before anything else looks at it.

A browser runs other people's programs, so a port on loopback is not closed by being there. A request is refused unless

- its ``Host`` is a name of this service: a stranger's name that was made to resolve to 127.0.0.1 (DNS rebinding) is not;
- its ``Origin``, if it has one, is this service: other sites' pages cannot use it, with or without a token;
- it carries the token as ``Authorization: Bearer TOKEN``, or, where a browser cannot set headers, as the WebSocket subprotocol
  ``glassbox.token.TOKEN``. There are no cookies, so there is nothing that a browser would send by itself.

The page's own files need no token: they hold nothing about any machine.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..wire.operations import Operation, Permission
from .answers import failure
from .paths import writes_a_file

LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
"""Names of this host that no DNS server can give to another one."""
SUBPROTOCOL = "glassbox"
_TOKEN_PROTOCOL = "glassbox.token."
CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' blob: data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = (
    (b"content-security-policy", CONTENT_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)


@dataclass(frozen=True, slots=True)
class Access:
    """The rules of one service.

    Attributes:
        token: what every request for data carries; None where the permissions of a unix socket decide alone.
        hosts: names that requests may be addressed to, lower case, without port.
        allowed: what operations may do.
        program: the command that serves, and that printed address and token.
    """

    token: str | None
    hosts: frozenset[str] = LOOPBACK
    allowed: frozenset[Permission] = frozenset({Permission.READ})
    program: str = "glassbox serve"

    def refuses(self, operation: Operation[..., object]) -> str:
        """Why `operation` may not be called, with the way out; empty if it may."""
        needed = required_permission(operation)
        if needed in self.allowed:
            return ""
        return f"{operation.name} needs the permission {needed.value!r}; start the service with '{self.program} --allow-{needed.value}'"


def required_permission(operation: Operation[..., object]) -> Permission:
    """What a caller over HTTP must be allowed: who may only read leaves no files on the host either."""
    if operation.permission is Permission.READ and writes_a_file(operation):
        return Permission.CONTROL
    return operation.permission


class Gate:
    """ASGI middleware that lets through what `Access` allows, and adds the headers that keep a browser's page closed."""

    def __init__(self, app: ASGIApp, access: Access, open_paths: Iterable[str] = ()) -> None:
        """`open_paths` are those of the page's own files."""
        self._app, self._access, self._open_paths = app, access, frozenset(open_paths)
        self._token = None if access.token is None else access.token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on one request, or answer why not."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return

        async def send_closed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            await send(message)

        problem = self._problem(scope)
        if problem is None:
            await self._app(scope, receive, send_closed)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        else:
            status, kind, message = problem
            response = failure(status, kind, message)
            if status == 401:
                response.headers["www-authenticate"] = "Bearer"
            await response(scope, receive, send_closed)

    def _problem(self, scope: Scope) -> tuple[int, str, str] | None:
        headers = _Headers(scope)
        host = headers.only(b"host")
        if host is None or _host_name(host) not in self._access.hosts:
            return (
                421,
                "WrongHost",
                f"this service has another name; use the address that {self._access.program!r} printed",
            )
        origin = headers.only(b"origin", missing=None)
        if headers.has(b"origin") and (origin is None or origin.partition("://")[2].lower() != host.lower()):
            return 403, "WrongOrigin", "pages of other sites may not use this service"
        if headers.only(b"sec-fetch-site") in ("cross-site", "same-site") and scope["path"] not in self._open_paths:
            return 403, "WrongOrigin", "pages of other sites may not use this service"
        if self._token is None or scope["path"] in self._open_paths or self._has_token(scope, headers):
            return None
        return 401, "NoToken", f"send the token as 'Authorization: Bearer TOKEN'; {self._access.program!r} printed it"

    def _has_token(self, scope: Scope, headers: _Headers) -> bool:
        assert self._token is not None
        kind, _, given = (headers.only(b"authorization") or "").partition(" ")
        if kind.lower() != "bearer":
            protocols = scope.get("subprotocols", ()) if scope["type"] == "websocket" else ()
            given = next((p.removeprefix(_TOKEN_PROTOCOL) for p in protocols if p.startswith(_TOKEN_PROTOCOL)), "")
        # In a time that does not depend on how much of it is right.
        return hmac.compare_digest(given.strip().encode(), self._token)


class _Headers:
    def __init__(self, scope: Scope) -> None:
        self._headers: list[tuple[bytes, bytes]] = scope["headers"]

    def has(self, name: bytes) -> bool:
        return any(key == name for key, _ in self._headers)

    def only(self, name: bytes, missing: str | None = None) -> str | None:
        """The value of a header that is there once; `missing` otherwise: of two, each reader would believe another."""
        values = [value for key, value in self._headers if key == name]
        return values[0].decode("latin-1") if len(values) == 1 else missing


def _host_name(host: str) -> str:
    """The name in a ``Host`` header, lower case; an IPv6 address keeps its brackets."""
    name = host.rpartition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]
    return name.lower().removesuffix(".")
