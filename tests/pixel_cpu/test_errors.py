"""Errors of kernels: what their messages show."""

from __future__ import annotations

from pixel_cpu.errors import DeviceError, IrError, LaunchError, LimitError, SourceError, TrapError
from qemu_bridge.errors import GlassBoxError, HostError, UsageError


def test_the_tree_is_the_one_drawn():
    for error in (SourceError, IrError, LaunchError):
        assert issubclass(error, UsageError)
    assert issubclass(DeviceError, HostError)
    for error in (TrapError, LimitError):
        assert issubclass(error, GlassBoxError)


def test_a_source_error_shows_the_line_with_a_caret():
    error = SourceError("no such name", line=3, column=4, text="\tx = y", file="a.gpk")
    assert str(error) == "a.gpk:3:4: no such name\n  \tx = y\n  \t  ^"
    assert str(SourceError("empty", line=1, column=1)) == "line 1:1: empty"


def test_a_trap_says_which_lane_and_line():
    assert str(TrapError("k", 5, "out of fuel", 7)) == "kernel k, lane 5, line 7: out of fuel"
    assert str(TrapError("k", 5, "out of fuel", None)) == "kernel k, lane 5: out of fuel"


def test_a_broken_rule_names_unit_operation_line_and_rule():
    error = IrError("is not uniform", unit="kernel k", op="barrier", line=3, rule="uniformity")
    assert str(error) == "kernel k: barrier (line 3): uniformity: is not uniform"
    assert (error.unit, error.op, error.line, error.rule, error.text) == (
        *("kernel k", "barrier", 3, "uniformity"),
        "is not uniform",
    )
    assert str(IrError("a -> a", rule="recursion")) == "recursion: a -> a"
