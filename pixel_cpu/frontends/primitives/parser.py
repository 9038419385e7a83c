"""From lines and tokens to the tree: recursive descent, a method for each kind of word.

By hand, not by a generator: a block may be indented, or end with its END word without being indented, or stand on one line; words
are words only where a statement begins; an error names what was expected, and the next line is read all the same. Measured side by
side with Lark 1.3 and a fifth of the grammar: Lark took four times as long to be imported and built, and five times as long a line.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from ...errors import SourceError
from ...ir.types import Type
from . import tree
from .lexer import MAX_LINE, Line, Source, Token, read_line, unquote
from .words import CONSTANTS, FUNCTIONS, MINOR_WORDS, REDUCTIONS, STATEMENTS, TYPES, Word, is_reserved, near

MAX_ERRORS = 20
"""Errors of one run; reading ends there."""
MAX_BLOCKS = 48
"""Blocks inside each other; each ELIF counts as one more."""
MAX_EXPRESSION = 64
"""Brackets, indexes, calls and signs inside each other."""
MAX_STATEMENTS = 20_000
"""Statements of a text."""
MAX_DECLARED = 1 << 20
"""Elements of a declared array."""

_LEVELS: tuple[tuple[str, ...], ...] = (
    ("or",),
    ("and",),
    ("==", "!=", "<", "<=", ">", ">="),
    ("|",),
    ("^",),
    ("&",),
    ("<<", ">>"),
    ("+", "-"),
    ("*", "/", "%"),
)
"""Operators from the loosest to the tightest; unary ones and ``**`` bind tighter."""
_BINDS = {sign: level for level, signs in enumerate(_LEVELS) for sign in signs}
_NOT_LEVEL = 2
_COMPARISONS = _LEVELS[2]
_IF_WORDS = ("ELIF", "ELSE", "ENDIF")
_CLOSERS = {
    "IF": set(_IF_WORDS),
    "WHILE": {"ENDWHILE"},
    "FOR": {"ENDFOR"},
    "PARALLEL": {"ENDFOR"},
    "FUNC": {"ENDFUNC"},
}
_TOP = ("kernel", "func", "host_alloc", "host_copy", "host_free", "host_launch", "host_sync")


class _BrokenLineError(Exception):
    """A line that could not be split into tokens; its error is recorded already."""


class Parser:
    """Reads one text. `errors` are what it found, in order; `file` is complete where there are none.

    For the formatter it notes how tokens are spelled (`spelling`), which may be left out (`dropped`), which stand close to the one
    before (`attached`), and which are signs of what follows (`signs`).
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.file = tree.File()
        self.errors: list[SourceError] = []
        self.lines: list[Line] = []
        self.spelling: dict[Token, str] = {}
        self.dropped: set[Token] = set()
        self.attached: set[Token] = set()
        self.signs: set[Token] = set()
        self._row, self._place = 0, 0
        self._behind = [Token("end", "", len(source.lines), len(source.lines[-1]) + 1)]
        self._tokens = self._behind
        self._level, self._blocks, self._nesting = 0, 0, 0
        self._inline, self._statements, self._loops = 0, 0, 0
        self._headless: set[str] = set()
        """Words that end or go on with a block whose head is broken."""

    def run(self) -> tree.File:
        """Parse everything; the errors are in `errors`."""
        try:
            self.source.check_size()
            self._read_lines()
            self._move(0)
            while self._row < len(self.lines):
                self._guard(self._top, -1)
        except SourceError as error:
            self._note(error)
        except _TooManyError:
            pass
        return self.file

    # Lines and errors

    def _read_lines(self) -> None:
        for number in range(1, len(self.source.lines) + 1):
            try:
                line = read_line(self.source, number)
            except SourceError as error:
                self._note(error)
                text = self.source.lines[number - 1]
                first = (text[:MAX_LINE].split() or [""])[0]
                line = Line(number, len(text) - len(text.lstrip()), [Token("broken", first, number, 1)])
            if line:
                self.lines.append(line)

    def _note(self, error: SourceError) -> None:
        self.errors.append(error)
        if len(self.errors) >= MAX_ERRORS:
            raise _TooManyError

    def _guard(self, read: Callable[[], None], indent: int) -> None:
        """Read a statement; after an error go on behind it and behind what is indented below it."""
        start, level, blocks, loops = self._row, self._level, self._blocks, self._loops
        try:
            read()
        except (SourceError, _BrokenLineError) as error:
            if isinstance(error, SourceError):
                self._note(error)
            self._level, self._blocks, self._loops, self._nesting, self._inline = level, blocks, loops, 0, 0
            row = self._row if self._row > start or self._place else start
            if row > start and self._place == 0:
                row -= 1  # the line that begins here is not to blame
            if row >= len(self.lines):
                return
            self._headless |= _CLOSERS.get(self.lines[row].tokens[0].text.upper(), set())
            self._move(row + 1)
            self._skip(self.lines[row], indent)

    def _skip(self, failed: Line, indent: int) -> None:
        """Pass over what makes no sense without the line that failed."""
        while line := self._fresh():
            word = self._word()
            if indent < 0:
                if word in STATEMENTS and STATEMENTS[word].reader in _TOP:
                    return
            elif word in ("GPU_END", "GPU_KERNEL"):
                return
            elif line.indent < failed.indent or (line.indent == failed.indent and word not in self._headless):
                return
            self._move(self._row + 1)

    def _move(self, row: int) -> None:
        self._row, self._place = row, 0
        self._tokens = self.lines[row].tokens if row < len(self.lines) else self._behind

    @property
    def _line(self) -> Line:
        return self.lines[self._row]

    def _fresh(self) -> Line | None:
        """The line that begins here, None at the end of the text or inside a line."""
        return self.lines[self._row] if self._row < len(self.lines) and self._place == 0 else None

    def _word(self) -> str:
        """The word at this place, in upper case."""
        token = self._peek()
        return token.text.upper() if token.kind == "name" else ""

    # Tokens

    def _peek(self) -> Token:
        return self._tokens[self._place]

    def _next(self) -> Token:
        token = self._peek()
        if token.kind != "end":
            self._place += 1
        return token

    def _is(self, *texts: str) -> bool:
        token = self._peek()
        return token.kind == "op" and token.text in texts

    def _accept(self, *texts: str) -> Token | None:
        return self._next() if self._is(*texts) else None

    def _expect(self, text: str, what: str = "") -> Token:
        if not self._is(text):
            raise self._unexpected(what or f"`{text}`")
        return self._next()

    def _unexpected(self, what: str) -> SourceError:
        token = self._peek()
        if token.kind == "broken":
            raise _BrokenLineError
        found = "the end of the line" if token.kind == "end" else f"`{token.text[:40]}`"
        return self.source.at(token, f"expected {what}, found {found}")

    def _minor(self, word: str) -> bool:
        """Read a word inside a statement, where it stands here."""
        if self._word() != word:
            return False
        self.spelling[self._next()] = word
        return True

    def _name(self, what: str) -> Token:
        token = self._peek()
        if token.kind != "name":
            raise self._unexpected(what)
        if is_reserved(token.text):
            raise self.source.at(token, f"{token.text} is a word of the language, not {what}")
        return self._next()

    def _arrow(self, what: str = "a result") -> None:
        token = self._accept("->", "→")
        if not token:
            raise self._unexpected(f"`->` and {what}")
        self.spelling[token] = "->"

    def _type(self) -> Type:
        token = self._peek()
        if token.kind != "name":
            raise self._unexpected("a type")
        kind = TYPES.get(token.text.lower())
        if not kind:
            raise self.source.at(token, f"there is no type {token.text}{near(token.text, TYPES)}")
        self.spelling[self._next()] = token.text.lower()
        return kind

    def _number(self, what: str, least: int, most: int) -> int:
        """A whole number that is known now: literals with + - * and brackets."""
        token = self._peek()
        value = self._constant(self._expression())
        if value is None:
            raise self.source.at(token, f"{what} is a whole number that is known here, like 256 or 16 * 17")
        if not least <= value <= most:
            raise self.source.at(token, f"{what} is {least} to {most}, not {str(value)[:40]}")
        return value

    def _constant(self, found: tree.Expression) -> int | None:
        chain: list[tree.Binary] = []
        while isinstance(found, tree.Binary) and found.sign in ("+", "-", "*"):
            chain.append(found)
            found = found.left
        value: int | None = None
        if isinstance(found, tree.Literal) and not isinstance(found.value, (bool, float)):
            value = found.value
        elif isinstance(found, tree.Unary) and found.sign == "-":
            inner = self._constant(found.operand)
            value = None if inner is None else -inner
        for link in reversed(chain):
            right = self._constant(link.right)
            if value is None or right is None:
                return None
            value = value + right if link.sign == "+" else value - right if link.sign == "-" else value * right
        return value

    # The text

    def _top(self) -> None:
        line = self._line
        line.depth = 0
        first, word = self._first()
        if word.reader not in _TOP:
            hint = "it ends no kernel" if word.name == "GPU_END" else "it belongs into a kernel: GPU_KERNEL name"
            raise self.source.at(first, f"{word.name} stands outside of kernels; {hint}")
        self._read(first, word)
        if self._place:
            self._end()

    def _first(self) -> tuple[Token, Word]:
        """The word that begins a statement."""
        token = self._peek()
        if token.kind != "name":
            raise self._unexpected("a statement")
        word = STATEMENTS.get(token.text.upper())
        if not word:
            if self._line.tokens[self._place + 1].text in ("=", "["):
                raise self.source.at(token, f"an assignment is written CALCULATE {token.text} = expression")
            raise self.source.at(token, f"{token.text} begins no statement{near(token.text, STATEMENTS)}")
        self.spelling[self._next()] = word.name
        return token, word

    def _read(self, token: Token, word: Word) -> Any:  # noqa: ANN401  # the reader's own statement
        self._statements += 1
        if self._statements > MAX_STATEMENTS:
            raise self.source.at(token, f"the text has more than {MAX_STATEMENTS} statements")
        return getattr(self, f"_read_{word.reader}")(token, word)

    def _end(self) -> None:
        """The end of a line: nothing follows."""
        if self._peek().kind != "end":
            raise self._unexpected("the end of the line")
        self._move(self._row + 1)

    def _read_kernel(self, at: Token, word: Word) -> None:
        kernel = tree.KernelSource(self._name("the kernel's name"))
        if any(other.at.text == kernel.at.text for other in self.file.kernels):
            raise self.source.at(kernel.at, f"there is a kernel {kernel.at.text} already")
        self.file.kernels.append(kernel)
        kernel.is_latency_critical = self._minor("LATENCY_CRITICAL")
        self._end()
        has_code = False
        while self._fresh() and not has_code:
            if self._word() in ("GPU_END", "GPU_KERNEL"):
                break
            self._line.depth = 1
            has_code = self._word() == "GPU_THREAD_CODE"
            self._guard(lambda: self._member(kernel), self._line.indent)
        if has_code and self._fresh():
            self._level = 2
            kernel.body = tuple(self._lines(self._line.indent, -1, ()))
            self._level = 0
        if self._word() != "GPU_END":
            raise self.source.at(at, f"kernel {kernel.at.text} is not ended: GPU_END is missing")
        self._line.depth = 0
        end, _ = self._first()
        if not has_code:
            raise self.source.at(end, f"kernel {kernel.at.text} has no GPU_THREAD_CODE:")

    def _member(self, kernel: tree.KernelSource) -> None:
        first, word = self._first()
        if word.reader != "member":
            raise self.source.at(first, f"{word.name} stands before GPU_THREAD_CODE:; what a thread does follows it")
        match word.name:
            case "GPU_PARAM":
                kernel.parameters.append(self._parameter(kernel))
            case "GPU_SHARED" | "GPU_PRIVATE":
                kernel.arrays.append(self._array(kernel, "shared" if word.name == "GPU_SHARED" else "private"))
            case "GPU_THREADS":
                kernel.threads = self._number("the number of threads of a block", 1, 1024)
            case "GPU_BOUNDS":
                chosen = self._word()
                if chosen not in ("TRAP", "CLAMP"):
                    raise self._unexpected("trap or clamp")
                self.spelling[self._next()] = chosen.lower()
                kernel.is_clamped = chosen == "CLAMP"
            case _:
                if colon := self._accept(":"):
                    self.attached.add(colon)
        self._end()

    def _declared(self, kernel: tree.KernelSource) -> Token:
        name = self._name("a name")
        if any(other.at.text == name.text for other in (*kernel.parameters, *kernel.arrays)):
            raise self.source.at(name, f"{name.text} is declared already")
        return name

    def _parameter(self, kernel: tree.KernelSource) -> tree.Scalar | tree.Array:
        name = self._declared(kernel)
        kind = self._type()
        if bracket := self._accept("["):
            close = self._expect("]", "`]`: how long it is, the launch says")
            self.attached |= {bracket, close}
            return tree.Array(name, "parameter", kind)
        return tree.Scalar(name, kind)

    def _array(self, kernel: tree.KernelSource, space: str) -> tree.Array:
        name = self._declared(kernel)
        kind = self._type()
        self.attached.add(self._expect("[", "`[` and the number of elements"))
        length = self._number("the number of elements", 1, MAX_DECLARED)
        self.attached.add(self._expect("]"))
        return tree.Array(name, space, kind, length)

    def _read_func(self, at: Token, word: Word) -> None:
        header = self._line
        name = self._name("the function's name")
        if any(other.at.text == name.text for other in self.file.functions):
            raise self.source.at(name, f"there is a function {name.text} already")
        self.attached.add(self._expect("("))
        parameters: list[tree.Scalar] = []
        while not self._is(")"):
            if parameters:
                self._expect(",", "`,` or `)`")
            parameter = self._name("a parameter")
            if any(other.at.text == parameter.text for other in parameters):
                raise self.source.at(parameter, f"{parameter.text} is declared already")
            parameters.append(tree.Scalar(parameter, self._type()))
        self.attached.add(self._next())
        self._arrow("the type of the result")
        result = self._type()
        body: tree.Block
        if equals := self._accept("="):
            body = (tree.Return(equals, self._expression()),)
        else:
            body = self._suite("FUNC", ("ENDFUNC",), "`:` and a block, or `=` and an expression")
            self._close("ENDFUNC", header)
        self.file.functions.append(tree.FunctionSource(name, tuple(parameters), result, body))

    # Blocks

    def _lines(self, indent: int, outside: int, closers: Collection[str]) -> list[tree.Statement]:
        """Statements of lines that are indented by `indent`, to a closing word or a line that is indented less."""
        found: list[tree.Statement] = []
        while line := self._fresh():
            word = self._word()
            if word in ("GPU_END", "GPU_KERNEL") or (word in closers and line.indent == indent):
                break
            if line.indent <= outside and outside >= 0 and line.indent < indent:
                break
            line.depth = self._level
            if line.indent != indent and line.tokens[0].kind != "broken":
                message = (
                    "this line is indented more than its block" if line.indent > indent else "no block is indented so"
                )
                self._note(self.source.at(line.tokens[0], message))
                line.indent = indent
            self._guard(lambda: self._line_of(found), indent)
        return found

    def _line_of(self, found: list[tree.Statement]) -> None:
        """The statements of one line, and the blocks that belong to it."""
        while True:
            found.append(self._statement())
            if self._fresh() or self._row >= len(self.lines):
                return
            if not self._accept(";"):
                break
            self.attached.add(self._line.tokens[self._place - 1])
            if self._peek().kind == "end":
                break
        self._end()

    def _statement(self) -> tree.Statement:
        first, word = self._first()
        if word.reader in _TOP or word.reader == "member":
            raise self.source.at(first, f"{word.name} does not stand in thread code")
        found: tree.Statement = self._read(first, word)
        return found

    def _suite(self, word: str, closers: tuple[str, ...], colon: str = "`:`") -> tree.Block:
        """What belongs to a head: on its line, indented below it, or to a closing word. Ends at the line's end or a fresh line."""
        header, head = self._line, self._line.tokens[0]
        self.attached.add(self._expect(":", colon))
        self._blocks += 1
        if self._blocks > MAX_BLOCKS:
            raise self.source.at(head, f"more than {MAX_BLOCKS} blocks inside each other")
        try:
            if self._peek().kind != "end":
                return self._inline_suite()
            if self._inline:
                raise self._unexpected(f"a statement: what belongs to {word} stands on its line here")
            self._move(self._row + 1)
            self._level += 1
            line = self._fresh()
            if line and line.indent > header.indent:
                body = self._lines(line.indent, header.indent, ())
            else:
                body = self._lines(header.indent, header.indent, closers) if line else []
                if not self._fresh() or self._word() not in closers or self._line.indent != header.indent:
                    raise self.source.at(
                        head, f"{word} has no block: indent what belongs to it, or end it with {closers[-1]}"
                    )
            self._level -= 1
            return tuple(body)
        finally:
            self._blocks -= 1

    def _inline_suite(self) -> tree.Block:
        self._inline += 1
        found = [self._statement()]
        while self._accept(";"):
            self.attached.add(self._line.tokens[self._place - 1])
            found.append(self._statement())
        self._inline -= 1
        return tuple(found)

    def _at_closer(self, words: Collection[str], header: Line) -> bool:
        """Whether one of `words` goes on with a block: on this line, or at the head of the next with the same indent."""
        if self._fresh():
            if self._line.indent != header.indent or self._word() not in words:
                return False
            self._line.depth = header.depth
            return True
        if self._row >= len(self.lines):
            return False
        if self._peek().kind == "end" and not self._inline and self._row + 1 < len(self.lines):
            line = self.lines[self._row + 1]
            if line.indent == header.indent and line.tokens[0].text.upper() in words:
                self._move(self._row + 1)
                line.depth = header.depth
                return True
        return self._word() in words

    def _close(self, word: str, header: Line) -> None:
        """The closing word of a block, where it is written."""
        if self._at_closer((word,), header):
            self._first()

    def _read_if_(self, at: Token, word: Word) -> tree.If:
        header, blocks = self._line, self._blocks
        arms = [(at, self._expression(), self._suite("IF", _IF_WORDS))]
        otherwise: tree.Block = ()
        while self._at_closer(_IF_WORDS, header):
            token, word = self._first()
            if word.name == "ENDIF":
                break
            self._blocks += 1
            if word.name == "ELSE":
                otherwise = self._suite("ELSE", ("ENDIF",))
                self._close("ENDIF", header)
                break
            arms.append((token, self._expression(), self._suite("ELIF", _IF_WORDS)))
        self._blocks = blocks
        return tree.If(at, tuple(arms), otherwise)

    def _loop_body(self, word: str, closer: str) -> tree.Block:
        header = self._line
        self._loops += 1
        body = self._suite(word, (closer,))
        self._loops -= 1
        self._close(closer, header)
        return body

    def _read_while_(self, at: Token, word: Word) -> tree.While:
        condition = self._expression()
        return tree.While(at, condition, self._loop_body("WHILE", "ENDWHILE"))

    def _range(self) -> tuple[tree.Expression, tree.Expression]:
        first = self._expression()
        dots = self._expect("..", "`..` and where it ends")
        self.attached.add(dots)
        self.signs.add(dots)
        return first, self._expression()

    def _read_for_(self, at: Token, word: Word) -> tree.For:
        variable = self._name("the loop's variable")
        if not self._minor("IN"):
            raise self._unexpected("IN")
        first, last = self._range()
        step = self._expression() if self._minor("STEP") else None
        return tree.For(at, variable, first, last, step, self._loop_body("FOR", "ENDFOR"))

    def _read_parallel(self, at: Token, word: Word) -> tree.ParallelFor:
        if self._word() != "FOR":
            raise self._unexpected("FOR")
        self.spelling[self._next()] = "FOR"
        name = self._name("an array or a variable")
        first = last = None
        if self._minor("IN"):
            first, last = self._range()
        return tree.ParallelFor(at, name, first, last, self._loop_body("PARALLEL FOR", "ENDFOR"))

    # Simple statements

    def _read_stray(self, at: Token, word: Word) -> None:
        if word.name in self._headless:
            raise _BrokenLineError  # what it belongs to has an error of its own
        raise self.source.at(at, f"{word.name} belongs to nothing here")

    def _target(self) -> tree.Target:
        name = self._name("a variable or an element")
        return self._element(name) if self._is("[") else tree.Name(name)

    def _variable(self) -> tree.Name:
        name = self._name("a variable")
        if self._is("["):
            raise self._unexpected("a variable, not an element")
        return tree.Name(name)

    def _element(self, name: Token) -> tree.Element:
        bracket = self._expect("[", "`[` and an index")
        index = self._inside(self._expression)
        self.attached |= {bracket, self._expect("]")}
        return tree.Element(name, index)

    def _operands(self, count: int) -> list[tree.Expression]:
        found: list[tree.Expression] = []
        while len(found) < count:
            if found and (comma := self._accept(",")):
                self.dropped.add(comma)
            if self._is("->", "→") or self._peek().kind == "end":
                raise self._unexpected(f"{count} operands, here the {('first', 'second', 'third')[len(found)]}")
            found.append(self._operand())
        if not self._is("->", "→"):
            raise self._unexpected("`->` and a result (an expression stands in brackets here)")
        return found

    def _operand(self) -> tree.Expression:
        """An operand that stands among others: brackets around anything longer."""
        if sign := self._accept("-", "~"):
            self.signs.add(sign)
            return tree.Unary(sign, sign.text, self._operand_inside())
        return self._primary(is_among=True)

    def _operand_inside(self) -> tree.Expression:
        return self._inside(self._operand)

    def _result(self, at: Token, value: tree.Expression) -> tree.Assign:
        self._arrow()
        return tree.Assign(at, self._target(), value)

    def _read_binary(self, at: Token, word: Word) -> tree.Assign:
        left, right = self._operands(2)
        return self._result(at, tree.Binary(at, word.operation, left, right))

    def _read_unary(self, at: Token, word: Word) -> tree.Assign:
        (operand,) = self._operands(1)
        return self._result(at, tree.Unary(at, "not" if word.name == "NOT" else word.operation, operand))

    def _read_function(self, at: Token, word: Word) -> tree.Assign:
        arguments = self._operands(FUNCTIONS[word.operation].arity)
        return self._result(at, tree.Call(at, word.operation, tuple(arguments)))

    def _read_identity(self, at: Token, word: Word) -> tree.Identity:
        self._arrow("a variable")
        return tree.Identity(at, word.operation, self._variable())

    def _read_index(self, at: Token, word: Word) -> tree.Index:
        self._arrow("a variable")
        return tree.Index(at, self._variable())

    def _as(self, element: tree.Element) -> tree.Element:
        return tree.Element(element.at, element.index, self._type()) if self._minor("AS") else element

    def _read_load(self, at: Token, word: Word) -> tree.Assign:
        element = self._as(self._element(self._name("an array")))
        self._arrow("a variable")
        return tree.Assign(at, self._variable(), element)

    def _read_store(self, at: Token, word: Word) -> tree.Assign:
        value = self._expression()
        self._arrow("an element")
        return tree.Assign(at, self._as(self._element(self._name("an array"))), value)

    def _read_calculate(self, at: Token, word: Word) -> tree.Assign:
        target = self._target()
        self._expect("=", "`=`")
        return tree.Assign(at, target, self._expression())

    def _read_pixel(self, at: Token, word: Word) -> tree.Pixel:
        parts = [self._expression()]
        while self._accept(","):
            parts.append(self._expression())
        if len(parts) not in (3, 4):
            raise self._unexpected("3 or 4 parts: red, green, blue, alpha")
        self._arrow()
        return tree.Pixel(at, tuple(parts), self._target())

    def _read_compare(self, at: Token, word: Word) -> tree.Assign:
        value = self._expression()
        if not isinstance(value, tree.Binary) or value.sign not in _COMPARISONS:
            raise self._unexpected("a comparison with < <= > >= == !=")
        return self._result(at, value)

    def _read_jump(self, at: Token, word: Word) -> tree.Jump:
        if not self._loops:
            raise self.source.at(at, f"{word.name} stands in no loop")
        return tree.Jump(at)

    def _read_return_(self, at: Token, word: Word) -> tree.Return:
        is_bare = self._peek().kind == "end" or self._is(";") or self._word() in _IF_WORDS
        return tree.Return(at, None if is_bare else self._expression())

    def _read_sync(self, at: Token, word: Word) -> tree.Sync:
        return tree.Sync(at)

    def _read_transform(self, at: Token, word: Word) -> tree.Transform:
        source = self._name("an array")
        self._arrow("an array")
        target = self._name("an array")
        value = self._expression() if self._minor("BY") else tree.Name(source)
        return tree.Transform(at, source, target, value)

    def _read_matmul(self, at: Token, word: Word) -> tree.Matmul:
        left = self._name("an array")
        right = self._name("an array")
        self._arrow("an array")
        target = self._name("an array")
        size = tuple(self._operand() for _ in range(3)) if self._minor("SIZE") else ()
        return tree.Matmul(at, left, right, target, size)

    def _read_atomic(self, at: Token, word: Word) -> tree.Atomic:
        element = self._element(self._name("an array"))
        values = tuple(self._operand() for _ in range(2 if word.operation == "atomic_cas" else 1))
        target = None
        if self._is("->", "→"):
            self._arrow()
            target = self._variable()
        return tree.Atomic(at, word.operation, element, values, target)

    def _read_reduce(self, at: Token, word: Word) -> tree.Reduce:
        name = self._word()
        if name not in REDUCTIONS:
            raise self._unexpected(f"one of {', '.join(REDUCTIONS)}")
        self.spelling[self._next()] = name
        (value,) = self._operands(1)
        self._arrow("a variable")
        return tree.Reduce(at, word.operation == "warp", REDUCTIONS[name], value, self._variable())

    def _text(self) -> str:
        token = self._peek()
        if token.kind != "string":
            raise self._unexpected('a text in "')
        return unquote(self.source, self._next())

    def _read_trap(self, at: Token, word: Word) -> tree.Trap:
        return tree.Trap(at, self._text())

    def _read_print_(self, at: Token, word: Word) -> tree.Print:
        text = self._text() if self._peek().kind == "string" else ""
        values: list[tree.Expression] = []
        while self._peek().kind != "end" and not self._is(";") and self._word() not in _IF_WORDS:
            if comma := self._accept(","):
                self.dropped.add(comma)
            values.append(self._operand())
        return tree.Print(at, text, tuple(values))

    # Expressions

    def _inside(self, read: Callable[[], tree.Expression]) -> tree.Expression:
        self._nesting += 1
        if self._nesting > MAX_EXPRESSION:
            raise self.source.at(self._peek(), f"an expression with more than {MAX_EXPRESSION} levels; split it")
        found = read()
        self._nesting -= 1
        return found

    def _expression(self, level: int = 0) -> tree.Expression:
        found = self._prefix(level)
        while True:
            token = self._peek()
            sign = token.text.lower() if token.kind in ("op", "name") else ""
            if sign not in _BINDS or _BINDS[sign] < level:
                break
            own = _BINDS[sign]
            if (
                sign in _COMPARISONS
                and isinstance(found, tree.Binary)
                and found.sign in _COMPARISONS
                and not self._closed
            ):
                raise self.source.at(token, "comparisons do not chain; join two with and")
            self.spelling[self._next()] = sign
            right = self._expression(own + 1)
            found = tree.Binary(token, sign, found, right)
            self._closed = False
        return found

    _closed = False
    """Whether the expression read last ended with a bracket around it."""

    def _prefix(self, level: int) -> tree.Expression:
        token = self._peek()
        if token.kind == "name" and token.text.lower() == "not":
            self.spelling[self._next()] = "not"
            return tree.Unary(token, "not", self._inside(lambda: self._expression(max(level, _NOT_LEVEL))))
        if sign := self._accept("-", "~", "+"):
            self.signs.add(sign)
            operand = self._inside(lambda: self._prefix(len(_LEVELS)))
            return operand if sign.text == "+" else tree.Unary(sign, sign.text, operand)
        found = self._primary(is_among=False)
        if power := self._accept("**"):
            found = tree.Call(power, "pow", (found, self._inside(lambda: self._prefix(len(_LEVELS)))))
        return found

    def _primary(self, is_among: bool) -> tree.Expression:
        """A literal, a name, an element, a call, or anything in brackets. Among operands a bracket belongs to a name it touches."""
        token = self._peek()
        self._closed = False
        match token.kind:
            case "int" | "float" | "char":
                self._next()
                return self._literal(token)
            case "name":
                return self._named(token, is_among)
        if self._accept("("):
            found = self._inside(self._expression)
            self.attached.add(self._expect(")"))
            self._closed = True
            return found
        raise self._unexpected("a value")

    def _literal(self, token: Token) -> tree.Literal:
        digits = token.text.replace("_", "")
        if token.kind == "char":
            code = ord(unquote(self.source, token))
            if code > 255:
                raise self.source.at(token, "a character has one byte")
            return tree.Literal(token, code)
        if token.kind == "float":
            value = float(digits)
            if value == float("inf"):
                raise self.source.at(token, "the number is too large for a float")
            return tree.Literal(token, value, True)
        return tree.Literal(token, int(digits, 0) if digits[:2].lower() in ("0x", "0b") else int(digits))

    def _named(self, token: Token, is_among: bool) -> tree.Expression:
        lower = token.text.lower()
        follower = self._line.tokens[self._place + 1]
        touches = follower.column == token.end or not is_among
        if follower.kind == "op" and follower.text == "(" and touches:
            return self._call(token)
        if lower in CONSTANTS and token.text in (lower, token.text.upper()):
            self.spelling[self._next()] = lower
            value = CONSTANTS[lower]
            return tree.Literal(token, value, not isinstance(value, bool))
        name = self._name("a value")
        return self._element(name) if self._is("[") and touches else tree.Name(name)

    def _call(self, token: Token) -> tree.Expression:
        lower = token.text.lower()
        is_builtin = lower in FUNCTIONS or lower in TYPES or (lower[:5] == "bits_" and lower[5:] in TYPES)
        if not is_builtin and (token.text in STATEMENTS or token.text in MINOR_WORDS):
            raise self.source.at(token, f"{token.text} is a word of the language, not a function")
        self._next()
        if is_builtin:
            self.spelling[token] = lower
        self.attached.add(self._expect("("))
        arguments: list[tree.Expression] = []
        while not self._is(")"):
            if arguments:
                self._expect(",", "`,` or `)`")
            arguments.append(self._inside(self._expression))
        self.attached.add(self._next())
        self._closed = True
        return tree.Call(token, lower if is_builtin else token.text, tuple(arguments))

    # The host's statements

    def _count(self, what: str) -> int | str:
        token = self._peek()
        if token.kind == "name":
            return self._name(what).text
        return self._number(what, 0, (1 << 31) - 1)

    def _host(self, at: Token, statement: tree.HostStatement) -> None:
        self.file.host.append((at, statement))

    def _read_host_alloc(self, at: Token, word: Word) -> None:
        name = self._name("the array's name")
        kind = self._type()
        self.attached.add(self._expect("[", "`[` and the number of elements"))
        length = self._count("the number of elements")
        self.attached.add(self._expect("]"))
        self._host(name, tree.HostAlloc(name.text, kind, length, at.line))

    def _read_host_copy(self, at: Token, word: Word) -> None:
        source = self._name("an array")
        self._arrow("an array")
        target = self._name("an array")
        self._host(source, tree.HostCopy(source.text, target.text, "", at.line))

    def _read_host_free(self, at: Token, word: Word) -> None:
        name = self._name("an array")
        self._host(name, tree.HostFree(name.text, at.line))

    def _read_host_sync(self, at: Token, word: Word) -> None:
        self._host(at, tree.HostSync(at.line))

    def _read_host_launch(self, at: Token, word: Word) -> None:
        name = self._name("a kernel's name")
        counts: list[int | str] = []
        for minor in ("BLOCKS", "THREADS"):
            if not self._minor(minor):
                raise self._unexpected(minor)
            counts.append(self._count(f"the number of {minor.lower()}"))
        arguments: dict[str, int | float | bool | str] = {}
        while self._peek().kind != "end":
            if comma := self._accept(","):
                self.dropped.add(comma)
            parameter = self._name("a parameter of the kernel")
            equals = self._expect("=", "`=` and a value")
            self.attached.add(equals)
            self.signs.add(equals)
            if parameter.text in arguments:
                raise self.source.at(parameter, f"{parameter.text} is given twice")
            arguments[parameter.text] = self._host_value()
        self._host(name, tree.HostLaunch(name.text, counts[0], counts[1], arguments, at.line))

    def _host_value(self) -> int | float | bool | str:
        minus = self._accept("-")
        if minus:
            self.signs.add(minus)
        token = self._peek()
        if token.kind in ("int", "float", "char"):
            value = self._literal(self._next()).value
            return -value if minus else value
        if token.kind == "name" and token.text.lower() in CONSTANTS:
            self._next()
            value = CONSTANTS[token.text.lower()]
            return -value if minus else value
        if minus:
            raise self._unexpected("a number")
        return self._name("a number or a name").text


class _TooManyError(Exception):
    """Enough errors for one run."""
