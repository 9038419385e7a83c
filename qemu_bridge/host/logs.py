"""How the programs log to standard error: a line of text, or a JSON object a line where the setting ``log_json`` says so."""

from __future__ import annotations

import json
import logging
import time

from .settings import value_of

TEXT = "%(asctime)s %(name)s %(levelname)s %(message)s"


class JsonFormatter(logging.Formatter):
    """A record as an object: time (UTC), level, logger, message, and the traceback if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """The object as one line."""
        row = encode(record.levelname.lower(), record.name, record.getMessage(), record.created)
        if record.exc_info:
            row["traceback"] = self.formatException(record.exc_info)
        return json.dumps(row)


def encode(level: str, logger: str, message: str, when: float | None = None) -> dict[str, str]:
    """A line of the log as an object."""
    when = time.time() if when is None else when
    clock = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(when)) + f".{int(when % 1 * 1000):03}Z"
    return {"time": clock, "level": level, "logger": logger, "message": message}


def log_to_stderr(level: int = logging.INFO, text: str = TEXT) -> None:
    """Log everything from `level` on to standard error, unless that is set up already."""
    logging.basicConfig(format=text, level=level)
    if value_of("log_json"):
        for handler in logging.getLogger().handlers:
            handler.setFormatter(JsonFormatter())
