"""What blocks of the tree hold: their statements, variables that they assign, and arrays that they store to."""

from __future__ import annotations

from collections.abc import Iterable

from . import tree


def statements_inside(*blocks: tree.Block) -> Iterable[tree.Statement]:
    """Each statement of blocks and of the blocks inside, in order."""
    stack = [iter(block) for block in reversed(blocks)]
    while stack:
        statement = next(stack[-1], None)
        if statement is None:
            stack.pop()
            continue
        yield statement
        match statement:
            case tree.If(arms=arms, otherwise=otherwise):
                stack += [iter(block) for block in reversed((*(arm[2] for arm in arms), otherwise))]
            case tree.While(body=body) | tree.For(body=body) | tree.ParallelFor(body=body):
                stack.append(iter(body))


def assigned(*blocks: tree.Block) -> list[str]:
    """Names of the variables that blocks assign, in order of their first assignment."""
    found: dict[str, None] = {}
    for statement in statements_inside(*blocks):
        target = getattr(statement, "target", None)
        if isinstance(target, tree.Name):
            found[target.at.text] = None
    return list(found)


def written(block: tree.Block) -> set[str]:
    """Names of the arrays that a block stores to."""
    found: set[str] = set()
    for statement in statements_inside(block):
        match statement:
            case tree.Assign(target=tree.Element(at=at)) | tree.Pixel(target=tree.Element(at=at)):
                found.add(at.text)
            case tree.Atomic(element=tree.Element(at=at)):
                found.add(at.text)
            case tree.Transform(target=at) | tree.Matmul(target=at):
                found.add(at.text)
    return found
