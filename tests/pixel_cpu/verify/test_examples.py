"""Inputs for the reference executor."""

from __future__ import annotations

import z3
from lane_kernels import SAXPY, module

from pixel_cpu.backends.launch import check
from pixel_cpu.verify.examples import differ, evaluate, random_examples


def test_random_examples_fit_the_kernel_and_are_the_same_each_time():
    kernel = module(SAXPY).kernels["main"]
    once, again = list(random_examples(kernel)), list(random_examples(kernel))
    assert [str(example) for example in once] == [str(example) for example in again]
    for example in once:
        check(kernel, example.launch(100))


def test_the_value_of_a_term_in_a_model():
    x, chosen = z3.BitVec("x", 8), z3.Bool("chosen")
    assert evaluate(z3.If(chosen, x + 250, x), {"x": 10, "chosen": True}) == 4
    assert evaluate(z3.If(chosen, x + 250, x), {"x": 10}) == 10
    assert evaluate(x == 0, {}) is True


def test_a_kernel_does_not_differ_from_itself():
    program = (module(SAXPY), "main")
    assert not any(differ(program, program, example) for example in random_examples(program[0].kernels["main"]))
