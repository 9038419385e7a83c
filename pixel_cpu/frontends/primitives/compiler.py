"""A text to a program: parse, check, lower, verify."""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import IrError, SourceError
from ...ir.limits import MAX_GROUP, MAX_LANES
from ...ir.model import Module
from ...ir.types import Type
from ...ir.verifier import verify
from . import tree
from .lexer import Source, Token
from .lower import Unit, lower_function, lower_kernel
from .parser import MAX_ERRORS, Parser
from .scan import written
from .words import near


@dataclass(frozen=True)
class Parameter:
    """A parameter of a kernel, in the order of the text; `is_written` of arrays that the kernel stores to."""

    name: str
    type: Type
    is_array: bool
    is_written: bool


@dataclass(frozen=True)
class KernelInfo:
    """What the text says about a kernel besides its code. `line` is that of GPU_KERNEL."""

    name: str
    is_latency_critical: bool
    parameters: tuple[Parameter, ...]
    line: int


@dataclass(frozen=True)
class Program:
    """A compiled text: the verified module, what it says about each kernel, and the statements of its host program."""

    module: Module
    kernels: dict[str, KernelInfo]
    host: tuple[tree.HostStatement, ...]


def compile_source(text: str, file: str = "") -> Program:
    """Compile a text of the primitives language; `file` names it in messages.

    Raises `SourceError` with the first fault; up to 19 more are in its `others`.

    ::

        program = compile_source(Path("saxpy.gpk").read_text(), "saxpy.gpk")
        Executor(program.module, "saxpy").run(launch)
    """
    return _Compiler(Source(text, file)).run()


class _Compiler:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.errors: list[SourceError] = []

    def run(self) -> Program:
        parser = Parser(self.source)
        file = parser.run()
        self.errors += parser.errors
        self._stop()
        module = Module(source=self.source.text)
        functions = {function.at.text: function for function in file.functions}
        for function in file.functions:
            unit = Unit(self.source, functions, self._note)
            module.functions[function.at.text] = lower_function(unit, function)
        for kernel in file.kernels:
            unit = Unit(self.source, functions, self._note)
            module.kernels[kernel.at.text] = lower_kernel(unit, kernel)
        kernels = {kernel.at.text: _info(kernel) for kernel in file.kernels}
        host = self._host(file, kernels)
        self._stop()
        try:
            verify(module)
        except IrError as error:
            raise self._explained(error, file) from None
        return Program(module, kernels, host)

    def _note(self, error: SourceError) -> None:
        self.errors.append(error)
        if len(self.errors) >= MAX_ERRORS:
            self._stop()

    def _stop(self) -> None:
        if self.errors:
            first, *others = sorted(self.errors, key=lambda error: (error.line, error.column))
            raise SourceError(
                first.message, line=first.line, column=first.column, text=first.text, file=first.file, others=others
            )

    def _explained(self, error: IrError, file: tree.File) -> SourceError:
        """What the verifier says, in words of the language, at the line or the kernel or function that it is about."""
        if error.rule == "uniformity":
            message = "threads of one block may part before they meet here; move it out of IF, loops and RETURN that depend on the thread"
        else:
            message = error.text.replace("workgroup memory", "shared memory, that of reductions included")
        if error.line:
            text = self.source.lines[error.line - 1]
            return self.source.error(message, error.line, len(text) - len(text.lstrip()) + 1)
        units = {f"function {each.at.text}": each.at for each in file.functions}
        units |= {f"kernel {each.at.text}": each.at for each in file.kernels}
        return self.source.at(units[error.unit], message)

    # The host's statements

    def _host(self, file: tree.File, kernels: dict[str, KernelInfo]) -> tuple[tree.HostStatement, ...]:
        held: dict[str, Type] = {}
        found: list[tree.HostStatement] = []
        for at, statement in file.host:
            try:
                match statement:
                    case tree.HostAlloc(name=name):
                        if name in held:
                            raise self.source.at(at, f"{name} is allocated already")
                        held[name] = statement.element
                    case tree.HostFree(name=name):
                        if name not in held:
                            raise self.source.at(at, f"{name} is not allocated here{near(name, held)}")
                        del held[name]
                    case tree.HostCopy():
                        statement = self._copy(at, statement, held)
                    case tree.HostLaunch():
                        statement = self._launch(at, statement, held, kernels)
                found.append(statement)
            except SourceError as error:
                self._note(error)
        return tuple(found)

    def _copy(self, at: Token, copy: tree.HostCopy, held: dict[str, Type]) -> tree.HostCopy:
        ways = {(False, True): "to_device", (True, False): "to_host", (True, True): "on_device"}
        way = ways.get((copy.source in held, copy.target in held))
        if not way:
            raise self.source.at(at, f"neither {copy.source} nor {copy.target} is allocated on the device")
        if way == "on_device" and held[copy.source] is not held[copy.target]:
            raise self.source.at(at, f"{copy.source} and {copy.target} hold different types")
        return tree.HostCopy(copy.source, copy.target, way, copy.line)

    def _launch(
        self, at: Token, launch: tree.HostLaunch, held: dict[str, Type], kernels: dict[str, KernelInfo]
    ) -> tree.HostLaunch:
        info = kernels.get(launch.kernel)
        if not info:
            raise self.source.at(at, f"there is no kernel {launch.kernel}{near(launch.kernel, kernels)}")
        if isinstance(launch.threads, int) and not 1 <= launch.threads <= MAX_GROUP:
            raise self.source.at(at, f"a block has 1 to {MAX_GROUP} threads, not {launch.threads}")
        if (
            isinstance(launch.blocks, int)
            and isinstance(launch.threads, int)
            and launch.blocks * launch.threads > MAX_LANES
        ):
            raise self.source.at(at, f"a launch has at most {MAX_LANES} threads")
        names = [parameter.name for parameter in info.parameters]
        for name in launch.arguments:
            if name not in names:
                raise self.source.at(at, f"{info.name} has no parameter {name}{near(name, names)}")
        arguments: dict[str, int | float | bool | str] = {}
        for parameter in info.parameters:
            given = launch.arguments.get(parameter.name, parameter.name)
            arguments[parameter.name] = given
            if not parameter.is_array:
                if not isinstance(given, str) and not _is_value(given, parameter.type):
                    raise self.source.at(at, f"{parameter.name} is {parameter.type.value}, which {given!r} is not")
                continue
            if not isinstance(given, str) or given not in held:
                hint = near(given, held) if isinstance(given, str) else ""
                raise self.source.at(at, f"{parameter.name} is an array, and {given} is not allocated{hint}")
            if held[given] is not parameter.type:
                raise self.source.at(
                    at, f"{parameter.name} holds {parameter.type.value}, and {given} {held[given].value}"
                )
        return tree.HostLaunch(launch.kernel, launch.blocks, launch.threads, arguments, launch.line)


def _is_value(given: int | float | bool, kind: Type) -> bool:
    if kind is Type.BOOL or isinstance(given, bool):
        return isinstance(given, bool) and kind is Type.BOOL
    return kind.is_float or (isinstance(given, int) and kind.least <= given <= kind.greatest)


def _info(kernel: tree.KernelSource) -> KernelInfo:
    stored = written(kernel.body)
    parameters = tuple(
        Parameter(each.at.text, each.kind, isinstance(each, tree.Array), each.at.text in stored)
        for each in kernel.parameters
    )
    return KernelInfo(kernel.at.text, kernel.is_latency_critical, parameters, kernel.at.line)
