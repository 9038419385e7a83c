"""Control flow to the IR: single assignment over `if` and `loop`.

Where ways meet, a variable that was assigned on one of them becomes a result of the `if` or `loop`; one that has no value on some way
cannot be read behind it. After an error a variable is *spoilt*: what reads it is passed over, so that one fault is one message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ...errors import SourceError
from ...ir.model import Region, Space, Value
from ...ir.types import Type
from . import tree
from .conversion import Constant
from .expressions import Lowered, SpoiltError, Values, place_of, type_name
from .lexer import Source, Token
from .scan import assigned


@dataclass
class _Loop:
    """A loop that is open: where it starts again, and what it carries."""

    label: str
    names: list[str]
    step: Callable[[], list[Value]]


class Flow(Values):
    """Blocks of statements, the variables that they assign, branches and loops; a subclass has the other statements."""

    def __init__(
        self, source: Source, functions: dict[str, tree.FunctionSource], note: Callable[[SourceError], None]
    ) -> None:
        super().__init__(source, functions)
        self.note = note
        self.loops: list[_Loop] = []

    def block(self, statements: Iterable[tree.Statement]) -> None:
        """Lower statements; errors are noted, one each."""
        for statement in statements:
            if self.build.is_ended:
                self.note(self.source.at(statement.at, "nothing comes here: the statement before always leaves"))
                return
            self.build.line = statement.at.line
            try:
                getattr(self, f"_do_{type(statement).__name__.lower()}")(statement)
                continue
            except SourceError as error:
                self.note(error)
            except SpoiltError:
                pass
            for name in assigned((statement,)):
                self.values.pop(name, None)
                self.spoilt.add(name)

    def assign(self, name: Token, value: Lowered) -> None:
        """Give a variable a value; the first one gives it its type."""
        text = name.text
        if text in self.memories:
            raise self.source.at(name, f"{text} is an array; write {text}[i]")
        if text in self.parameters:
            raise self.source.at(
                name, f"{text} is a parameter (line {self.kinds[text][1]}); give the result another name"
            )
        if text in self.counters:
            raise self.source.at(name, f"{text} is the variable of a FOR, which alone changes it")
        if text in self.kinds:
            kind, line = self.kinds[text]
            value = self.coerce(value, kind, name, f"{text} is {type_name(kind)} since line {line}")
        else:
            value = self.settle(value)
            self.kinds[text] = (value.type, name.line)
        if not value.name:
            value.name = text
        self.values[text] = value
        self.partial.pop(text, None)
        self.spoilt.discard(text)

    def _do_if(self, statement: tree.If) -> None:
        self._arms(statement, 0)

    def _arms(self, statement: tree.If, place: int) -> None:
        at, condition, body = statement.arms[place]
        self.build.line = at.line
        chosen = self.condition(condition)
        is_last = place + 1 == len(statement.arms)
        rest = [arm[2] for arm in statement.arms[place + 1 :]] + [statement.otherwise]
        names = assigned(body, *rest)
        before, partial = self.values, self.partial
        regions, ends = (Region(), Region()), []
        for region, is_then in zip(regions, (True, False), strict=True):
            self.values, self.partial = dict(before), dict(partial)
            with self.build.inside(region):
                if is_then:
                    self.block(body)
                elif is_last:
                    self.block(statement.otherwise)
                else:
                    self._arms(statement, place + 1)
                ends.append(None if self.build.is_ended else self.values)
            partial = partial | self.partial
        self.build.line = at.line
        falling = [values for values in ends if values is not None]
        self.values, self.partial = before, partial
        merged = [name for name in names if falling and all(name in values for values in falling)]
        merged = [name for name in merged if any(values[name] is not before.get(name) for values in falling)]
        for region, values in zip(regions, ends, strict=True):
            if values is not None:
                with self.build.inside(region):
                    self.build.end("yield", *(values[name] for name in merged))
        results = self.build.branch("if", [chosen], regions, [self.kinds[name][0] for name in merged])
        self._define(merged, results)
        for name in names:
            if name in merged or not falling or all(values.get(name) is before.get(name) for values in falling):
                continue
            self.values.pop(name, None)
            self.partial[name] = at.line
        if not falling:
            # No way leads on from here.
            self.build.end("trap", text="unreachable")

    def _define(self, names: Sequence[str], values: Sequence[Value]) -> None:
        for name, value in zip(names, values, strict=True):
            value.name = name
            self.values[name] = value
            self.partial.pop(name, None)

    def _do_while(self, statement: tree.While) -> None:
        self.loop(
            statement.at,
            assigned(statement.body),
            [],
            lambda _: self.condition(statement.condition),
            lambda _: self.block(statement.body),
            lambda _: [],
        )

    def loop(
        self,
        at: Token,
        names: Iterable[str],
        starts: list[Value],
        condition: Callable[[tuple[Value, ...]], Value],
        body: Callable[[tuple[Value, ...]], None],
        step: Callable[[tuple[Value, ...]], list[Value]],
    ) -> None:
        """Append a loop that carries `names` and values of its own, which begin as `starts` and go on by `step`."""
        names = list(names)
        carried = [name for name in names if name in self.values]
        before, partial = self.values, self.partial
        label, count = self.build.new_label(), len(starts)

        def goes_on(values: tuple[Value, ...]) -> Value:
            self.values, self.partial = dict(before), dict(partial)
            self._define(carried, values[count:])
            return condition(values[:count])

        def inside(values: tuple[Value, ...]) -> list[Value]:
            self.loops.append(_Loop(label, carried, lambda: step(values[:count])))
            body(values[:count])
            is_ended, self.build.line = self.build.is_ended, at.line
            following = [] if is_ended else self._carried("continue")
            self.loops.pop()
            self.values, self.partial = before, partial
            return following

        operands = [*starts, *(before[name] for name in carried)]
        self._define(carried, self.build.while_(operands, goes_on, inside, local=count, label=label))
        for name in names:
            if name not in carried:
                self.partial[name] = at.line

    def _carried(self, word: str) -> list[Value]:
        """What a ``break`` or ``continue`` of the innermost loop carries."""
        loop = self.loops[-1]
        if any(name not in self.values for name in loop.names):
            raise SpoiltError
        # The steps come first: they are computed here, the values are there already.
        own = loop.step() if word == "continue" else []
        return [*own, *(self.values[name] for name in loop.names)]

    def _do_jump(self, statement: tree.Jump) -> None:
        word = "break" if statement.at.text.upper() == "BREAK" else "continue"
        self.build.end(word, *self._carried(word), label=self.loops[-1].label)

    def _do_for(self, statement: tree.For) -> None:
        first, last = self.expression(statement.first), self.expression(statement.last)
        kind = self.meet([first, last], statement.at)
        if not kind.is_integer:
            raise self.source.at(place_of(statement.first), f"FOR counts in integers, not in {type_name(kind)}")
        start = self.coerce(first, kind, place_of(statement.first), "the range")
        end = self.coerce(last, kind, place_of(statement.last), "the range")
        step, is_down = self._step(statement, kind)
        self.counted(
            statement.at,
            statement.variable,
            statement.body,
            start,
            lambda i: self.build.value("gt" if is_down else "lt", i, end),
            lambda i: self.build.value("add", i, step),
        )

    def _step(self, statement: tree.For, kind: Type) -> tuple[Value, bool]:
        """The step and whether it goes down, which only a literal does; the lane of another one traps where it does not go up."""
        if statement.step is None:
            return self.build.const(kind, 1), False
        lowered, at = self.expression(statement.step), place_of(statement.step)
        step = self.coerce(lowered, kind, at, f"the range is {type_name(kind)}")
        if isinstance(lowered, Constant):
            if lowered.value == 0:
                raise self.source.at(at, "a STEP of 0 goes nowhere")
            return step, lowered.value < 0
        self.require(self.build.value("gt", step, self.build.const(kind, 0)), "STEP is not above 0")
        return step, False

    def counted(
        self,
        at: Token,
        variable: Token,
        body: tree.Block,
        start: Value,
        condition: Callable[[Value], Value],
        step: Callable[[Value], Value],
        shown: Callable[[Value], Value] = lambda i: i,
    ) -> None:
        """Append a loop with a variable of its own, which the body sees as `shown`."""
        self.fresh(variable)
        name = variable.text

        def inside(own: tuple[Value, ...]) -> None:
            value = shown(own[0])
            value.name = name
            self.values[name], self.kinds[name] = value, (value.type, variable.line)
            self.counters.add(name)
            self.block(body)
            self.counters.discard(name)
            del self.kinds[name]
            self.values.pop(name, None)

        self.loop(at, assigned(body), [start], lambda own: condition(own[0]), inside, lambda own: [step(own[0])])

    def fresh(self, name: Token) -> None:
        """Raise where a loop's variable has a name that is taken."""
        if name.text in self.kinds:
            raise self.source.at(
                name, f"{name.text} is a variable since line {self.kinds[name.text][1]}; a loop has one of its own"
            )
        if name.text in self.memories:
            raise self.source.at(name, f"{name.text} is an array; a loop has a variable of its own")

    def _do_parallelfor(self, statement: tree.ParallelFor) -> None:
        if statement.first is None or statement.last is None:
            self._each(statement.at, statement.variable, assigned(statement.body), lambda: self.block(statement.body))
            return
        first = self.coerce(self.expression(statement.first), Type.I32, place_of(statement.first), "the range is int")
        last = self.coerce(self.expression(statement.last), Type.I32, place_of(statement.last), "the range is int")
        span = self.build.value("bitcast", self.build.value("sub", last, first), type=Type.U32)
        is_empty = self.build.value("ge", first, last)
        count = self.build.value("select", is_empty, self.build.const(Type.U32, 0), span)
        lanes = self.build.value("lane_count")

        def shown(k: Value) -> Value:
            return self.build.value("add", first, self.build.value("convert", k, type=Type.I32))

        self.counted(
            statement.at,
            statement.variable,
            statement.body,
            self.build.value("global_id"),
            lambda k: self.build.value("lt", k, count),
            lambda k: self.build.value("add", k, lanes),
            shown,
        )

    def _each(self, at: Token, array: Token, names: Iterable[str], body: Callable[[], None]) -> None:
        """Append a loop of all lanes over the elements of an array."""
        memory = self.memory(array)
        if memory.space is not Space.BUFFER:
            raise self.source.at(array, f"{array.text} is no parameter: each block or thread has its own")
        if self.elements:
            raise self.source.at(at, "PARALLEL FOR stands inside no other one; all threads share one already")
        count, lanes = self.build.length(memory), self.build.value("lane_count")

        def inside(own: tuple[Value, ...]) -> None:
            self.index = self.build.value("convert", own[0], type=Type.I32)
            self.elements[array.text] = self.build.load(memory, own[0], hint=array.text)
            body()
            self.elements.clear()
            self.index = None

        self.loop(
            at,
            names,
            [self.build.value("global_id")],
            lambda own: self.build.value("lt", own[0], count),
            inside,
            lambda own: [self.build.value("add", own[0], lanes)],
        )
