"""How the picture looks: which classes show, and how. Each change can be undone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from qemu_bridge.wire.records import PageClass

from ..view.look import Layer, Look
from . import navigation
from .state import ViewerState


def set_look(state: ViewerState, look: Look) -> None:
    """Draw as `look` says."""
    navigation.mark(state, "look")
    for scene in state.scenes:
        scene.set_look(look)
    state.wake()


def toggle(state: ViewerState, classes: Iterable[PageClass]) -> None:
    """Show those of `classes` that are hidden and hide those that show."""
    navigation.mark(state, "layers")
    for scene in state.scenes:
        scene.toggle(classes)
    state.wake()


def isolate(state: ViewerState, page_class: PageClass) -> None:
    """Show one class alone; everything again if it is alone already."""
    look = replace(state.scene.look, isolated=frozenset())
    is_alone = state.scene.look.isolated == {page_class}
    set_look(state, look if is_alone else look.with_layer([page_class], Layer.ISOLATED))


def dim(state: ViewerState, page_class: PageClass) -> None:
    """Dim a class; draw it in full if it is dimmed already."""
    look = state.scene.look
    is_dim = look.layer(page_class) is Layer.DIMMED
    set_look(state, look.with_layer([page_class], Layer.SHOWN if is_dim else Layer.DIMMED))


def show_all(state: ViewerState) -> None:
    """Show all classes in full."""
    plain = Look()
    set_look(state, replace(state.scene.look, hidden=plain.hidden, dimmed=plain.dimmed, isolated=plain.isolated))
