"""Logs: text, or an object a line."""

import json
import logging
import subprocess
import sys

from qemu_bridge.host.logs import JsonFormatter


def test_a_record_is_an_object_with_its_traceback():
    try:
        raise ValueError("a \x1b[31m reason")
    except ValueError:
        record = logging.LogRecord("qemu_bridge.daemon", logging.ERROR, "file", 1, "%s failed", ("it",), sys.exc_info())
    record.created = 1.5
    line = JsonFormatter().format(record)
    row = json.loads(line)
    assert "\x1b" not in line and "ValueError: a" in row.pop("traceback")
    assert row == {
        "time": "1970-01-01T00:00:01.500Z",
        "level": "error",
        "logger": "qemu_bridge.daemon",
        "message": "it failed",
    }


def test_the_setting_chooses_the_form():
    program = "import logging\nfrom qemu_bridge.host.logs import log_to_stderr\nlog_to_stderr()\nlogging.info('here')"
    for value, is_json in (("1", True), ("0", False)):
        answer = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            check=True,
            env={"GLASSBOX_LOG_JSON": value},
        )
        assert answer.stderr.startswith("{") is is_json and "here" in answer.stderr
