"""The text form, there and back."""

from programs import copy_of, random_case

from pixel_cpu.backends.reference import Executor
from pixel_cpu.ir.text import read, write
from pixel_cpu.ir.verifier import verify


def test_random_programs_are_written_and_read_to_the_same_text():
    for seed in range(25):
        text = write(random_case(seed).module)
        module = verify(read(text))
        assert write(module) == text


def test_a_program_read_back_does_the_same():
    for seed in range(10):
        case = random_case(seed)
        ours, theirs = copy_of(case.launch), copy_of(case.launch)
        first = Executor(case.module, "main").run(ours)
        second = Executor(read(write(case.module)), "main").run(theirs)
        assert first == second
        for name, array in ours.buffers.items():
            assert array.tobytes() == theirs.buffers[name].tobytes()
