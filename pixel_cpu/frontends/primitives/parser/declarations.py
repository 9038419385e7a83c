"""Kernels and functions: what they declare, and their bodies."""

from __future__ import annotations

from ....ir.limits import MAX_DECLARED, MAX_GROUP
from .. import tree
from ..lexer import Token
from ..words import Word
from .blocks import Blocks


class Declarations(Blocks):
    """Reads GPU_KERNEL with its members, and FUNC."""

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
                kernel.threads = self._number("the number of threads of a block", 1, MAX_GROUP)
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
