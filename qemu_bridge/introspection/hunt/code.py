"""Where the kernel's code is: its own text, and that of the modules it lists."""

from __future__ import annotations

from ...kernel.symbols import KernelSection
from ..overlays import OverlayContext


class KernelCode:
    """The code that belongs to the kernel image and to the modules in its list.

    Attributes:
        text: the image's text; None where symbols do not say.
    """

    def __init__(self, context: OverlayContext) -> None:
        self._symbols = context.symbols
        self.text: KernelSection | None = next(
            (section for section in context.kernel.sections() if section.name == "text"), None
        )

    def is_image(self, address: int) -> bool:
        """Whether an address is in the text of the kernel image; True where it is not known where that is."""
        return self.text is None or self.text.start <= address < self.text.end

    def name(self, address: int) -> str:
        """Symbol and module of an address for a sentence, or that it has none."""
        if self._symbols.module_of(address) is None and not self._is_in_image(address):
            return "in no module that the kernel lists, and not in its image"
        return self._symbols.describe(address)

    def _is_in_image(self, address: int) -> bool:
        start, end = (self._symbols.kernel.kallsyms.address_of(edge) for edge in ("_text", "_end"))
        return start is None or end is None or start <= address < end
