"""Where the parser stands: what it does not understand, and how it goes on."""

from primitives_runs import errors, thread_code

from pixel_cpu.frontends.primitives import compile_source


def test_after_an_error_the_next_lines_are_read():
    code = """
        IF a ? 1:
            THIS is not looked at
        ELSE:
            NOR this
        LOAD x -> a
        WHILE (a < 1:
        SKIPPED 1
        ENDWHILE
        FOR i IN 1..2:
            ADD 1 2
    """
    found = errors(thread_code(code, "GPU_PARAM x int[]"))
    assert [line for line, _, _ in found] == [5, 9, 10, 11, 14]


def test_windows_line_ends_and_a_mark_of_the_byte_order():
    compile_source("\ufeff" + thread_code("PRINT 1").replace("\n", "\r\n"))
