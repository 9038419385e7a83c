"""Commands and messages of a live picture: what whoever looks sends to the process that draws, and what comes back.

Both ways are JSON; a command names itself in ``do``, a message in ``say``. Pictures come as JPEG between the messages, each only
after the one before was acknowledged by `Drawn`, so who is slow gets fewer and never old ones.
"""

from __future__ import annotations

import struct
from typing import Annotated

import msgspec

from .records import Physical, Record

MIN_SIDE, MAX_SIDE = 64, 4096
"""Pixels of a side of a live picture."""
MAX_TEXT = 8192
FRAME = struct.Struct("<cI")
"""What precedes each message of the drawing process: its kind, and how many bytes follow."""
PICTURE, MESSAGE = b"P", b"M"

Side = Annotated[int, msgspec.Meta(ge=MIN_SIDE, le=MAX_SIDE)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
"""A place along a side of the picture: 0 is left or above."""
Step = Annotated[float, msgspec.Meta(ge=-100, le=100)]
Text = Annotated[str, msgspec.Meta(max_length=MAX_TEXT)]
Name = Annotated[str, msgspec.Meta(max_length=200)]
"""Of a machine."""


class Resize(Record, frozen=True, tag_field="do", tag="resize"):
    """Draw pictures of this size in pixels; the first command."""

    width: Side
    height: Side


class Drag(Record, frozen=True, tag_field="do", tag="drag"):
    """The pointer was dragged, in picture heights; with `is_pan` what is seen moves, else it turns."""

    right: Step
    down: Step
    is_pan: bool = False


class Wheel(Record, frozen=True, tag_field="do", tag="wheel"):
    """Nearer by `steps` notches, at a place of the picture."""

    steps: Step
    x: Share = 0.5
    y: Share = 0.5


class Hold(Record, frozen=True, tag_field="do", tag="hold"):
    """An arrow key, called as browsers do (``ArrowLeft``), went down or up; the camera turns while it is down."""

    key: Annotated[str, msgspec.Meta(max_length=20)]
    is_down: bool


class Pick(Record, frozen=True, tag_field="do", tag="pick"):
    """Select the byte that shows at a place of the picture; `Picked` answers."""

    x: Share
    y: Share


class Select(Record, frozen=True, tag_field="do", tag="select"):
    """Outline the page of the byte at `ram_offset` of `machine`, the active one unless named, and fly there; None for no page."""

    ram_offset: Annotated[int, msgspec.Meta(ge=0, lt=1 << 52)] | None = None
    machine: Name = ""


class Activate(Record, frozen=True, tag_field="do", tag="activate"):
    """Let `machine` be the active one of several: its name is bright, and what names no machine is about it."""

    machine: Name


class Show(Record, frozen=True, tag_field="do", tag="show"):
    """Let the memory of a target (docs/targets.md) stand out in all machines, and fly there; an empty one for nothing."""

    target: Text
    fly: bool = True


class Look(Record, frozen=True, tag_field="do", tag="look"):
    """Look as the text of a view says (docs/viewer.md); what it does not name of the camera stays."""

    view: Text


class Home(Record, frozen=True, tag_field="do", tag="home"):
    """Fly to the first view."""


class Drawn(Record, frozen=True, tag_field="do", tag="drawn"):
    """The last picture is shown; send the next."""


AnyCommand = Resize | Drag | Wheel | Hold | Pick | Select | Activate | Show | Look | Home | Drawn


class Ready(Record, frozen=True, tag_field="say", tag="ready"):
    """The scene is loaded; `title` names the machines, their RAM and their kernel, `machines` has their names from the left."""

    title: str
    machines: tuple[str, ...] = ()


class Picked(Record, frozen=True, tag_field="say", tag="picked"):
    """The byte that was picked; all is None or empty where there is none.

    Attributes:
        ram_offset, physical: where it is; `physical` is None where the layout of RAM is not known.
        what: its page in words.
        content: the aligned 16 bytes around it in hexadecimal.
        machine: the name of the one that it is in, which is active now.
    """

    ram_offset: int | None = None
    physical: Physical | None = None
    what: str = ""
    content: str = ""
    machine: str = ""


class Word(Record, frozen=True):
    """A name at a place of the picture; a larger `size` goes first where two are in each other's way."""

    text: str
    colour: str
    x: float
    y: float
    size: int


class Words(Record, frozen=True, tag_field="say", tag="words"):
    """What stands where in the picture, once it is at rest; nothing while it moves."""

    words: tuple[Word, ...]


class Cube(Record, frozen=True):
    """The name of one of several machines, and the place over the middle of its cube."""

    name: str
    x: float
    y: float
    is_active: bool
    is_ended: bool


class ArcPath(Record, frozen=True):
    """What one machine sent another of late, as an arc from the sender.

    Attributes:
        path: places in the picture, (x, y) as `Share` has them, though some may be outside.
        words: processes of which name to which, and how much, the most first.
        strength: 1 just after it was sent, 0 when it is no news any more.
        width: of its line, in pixels of a picture 720 high.
        is_below: whether words go under the line, as those of the way back stand over it.
    """

    path: tuple[tuple[float, float], ...]
    words: tuple[str, ...]
    strength: float
    width: float
    is_below: bool


class Several(Record, frozen=True, tag_field="say", tag="several"):
    """What stands over several machines, before the picture that it belongs to."""

    cubes: tuple[Cube, ...]
    arcs: tuple[ArcPath, ...] = ()


class Colour(Record, frozen=True):
    """What a colour (``#rrggbb``) stands for, and how many bytes of RAM have it; None where colours are on a scale."""

    label: str
    colour: str
    size_bytes: int | None


class Legend(Record, frozen=True, tag_field="say", tag="legend"):
    """What colours mean, the text of the view, and how many bytes stand out."""

    title: str
    colours: tuple[Colour, ...]
    view: str
    shown: str = ""
    shown_bytes: int = 0


class Problem(Record, frozen=True, tag_field="say", tag="problem"):
    """Something that was asked cannot be done; with `is_end` no more pictures come."""

    message: str
    is_end: bool = False


AnyMessage = Ready | Picked | Words | Several | Legend | Problem
