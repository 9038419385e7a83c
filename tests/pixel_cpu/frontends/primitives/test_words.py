from pixel_cpu.frontends.primitives.words import FUNCTIONS, MINOR_WORDS, STATEMENTS, TYPES, is_reserved, near
from pixel_cpu.ir.operations import OPERATIONS
from pixel_cpu.ir.types import Type


def test_a_form_begins_with_its_word():
    assert all(word.form.replace(":", " ").split()[0] == name for name, word in STATEMENTS.items())


def test_functions_name_rows_of_the_table():
    for function in FUNCTIONS.values():
        if function.row:
            operands = OPERATIONS[function.row].signature.partition("->")[0].split()
            assert len(operands) == function.arity


def test_every_type_of_the_ir_has_a_name():
    assert {kind.value for kind in Type} < set(TYPES)


def test_words_are_reserved_in_upper_case_only():
    assert all(is_reserved(word) for word in (*STATEMENTS, *MINOR_WORDS, "if", "Else", "int", "pi"))
    assert not any(is_reserved(word) for word in ("index", "load", "step", "size", "min"))


def test_near_names():
    assert near("LAOD", STATEMENTS) == "; did you mean LOAD?"
    assert near("thread_Id", STATEMENTS) == "; did you mean THREAD_ID?"
    assert near("qqqqqq", STATEMENTS) == ""
