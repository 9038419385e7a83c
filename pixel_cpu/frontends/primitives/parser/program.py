"""A whole text: kernels, functions and the host's statements in any order."""

from __future__ import annotations

from ....errors import SourceError
from ....ir.limits import MAX_LENGTH
from .. import tree
from ..lexer import Token
from ..words import CONSTANTS, Word
from .cursor import TOP_READERS, TooManyErrorsError
from .declarations import Declarations


class Parser(Declarations):
    """Reads one text. `errors` are what it found, in order; `file` is complete where there are none."""

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
        except TooManyErrorsError:
            pass
        return self.file

    def _top(self) -> None:
        line = self._line
        line.depth = 0
        first, word = self._first()
        if word.reader not in TOP_READERS:
            hint = "it ends no kernel" if word.name == "GPU_END" else "it belongs into a kernel: GPU_KERNEL name"
            raise self.source.at(first, f"{word.name} stands outside of kernels; {hint}")
        self._read(first, word)
        if self._place:
            self._end()

    # The host's statements

    def _count(self, what: str) -> int | str:
        token = self._peek()
        if token.kind == "name":
            return self._name(what).text
        return self._number(what, 0, MAX_LENGTH)

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
