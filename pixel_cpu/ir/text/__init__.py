"""The text form of the IR: `write` prints a module, `read` parses it back.

::

    kernel saxpy(%a: f32) group 32 {
      buffer @x: f32 read
      buffer @y: f32
      %0 = global_id : u32
      %1 = load @x %0 trap : f32
      %2 = mul %a, %1 : f32
      %3 = load @y %0 trap : f32
      %4 = add %2, %3 : f32
      store @y %0, %4 trap
      return
    }

An operation is ``results = name fields operands : result types regions !line``. ``;`` begins a comment.
"""

from .grammar import HAS_LABEL, HAS_TEXT, NAMES
from .reader import read
from .writer import literal_text, write

__all__ = ["HAS_LABEL", "HAS_TEXT", "NAMES", "literal_text", "read", "write"]
