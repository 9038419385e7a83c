"""Commands and files of a guest that submits to a GPU."""

from __future__ import annotations

import base64
import itertools
import shlex

import numpy as np


class Shell:
    """Commands in the guest, and files there."""

    def __init__(self, machine):
        self.machine = machine
        self.names = itertools.count()

    def put(self, content, name):
        path = f"/tmp/{next(self.names)}-{name}"
        encoded = base64.b64encode(bytes(content)).decode()
        self.machine.exec(f"echo {encoded} | base64 -d >{path}")
        return path

    def get(self, path, dtype):
        return np.frombuffer(base64.b64decode(self.machine.exec(f"base64 {path}")), dtype)

    def run(self, *words):
        """(exit status, what it wrote to standard output and errors)"""
        result = self.machine.client.exec(f"{shlex.join(words)} 2>&1", 120.0)
        return result.exit_status, result.output.decode()

    def done(self, *words):
        status, said = self.run(*words)
        assert status == 0, said
        return said
