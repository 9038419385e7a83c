"""The verb serve: what it refuses; tests/qemu_bridge/gateway drives what it starts."""

import pytest


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--listen", "0.0.0.0:80"), "--tls-cert"),
        (("--listen", "nonsense"), "HOST:PORT"),
        (("--tls-cert", "x"), "--tls-key"),
        (("--token-file", "/nowhere/token"), "openssl rand"),
    ],
)
def test_what_would_be_open_is_wrong_usage_in_one_line(command, words, says):
    answer = command("serve", *words)
    assert answer.status == 2 and says in answer.err and answer.err.count("\n") == 1 and not answer.out
