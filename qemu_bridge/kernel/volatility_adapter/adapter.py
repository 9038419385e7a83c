"""One Volatility context for one guest, loaded once and asked often.

>>> volatility = VolatilityAdapter(ram, kernel)
>>> volatility.run("linux.pslist.PsList")[0]["COMM"]
'init'
>>> task = volatility.object("task_struct", kernel.address_of("init_task"))
>>> int(task.pid)
0
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TypeAlias

import volatility3.plugins
from volatility3.framework import contexts, exceptions, interfaces
from volatility3.framework.symbols import linux
from volatility3.framework.symbols.linux import extensions
from volatility3.framework.symbols.linux.extensions import network as _network  # noqa: F401  # linux expects it loaded

from ...errors import GlassBoxError, GuestError, UsageError
from ...host.json_types import JsonValue
from ...memory.ram import GuestRam
from ..symbols import KernelSymbols
from .layers import KernelLayer, KernelLayer5, OutOfTimeError, RamLayer

PluginRow: TypeAlias = dict[str, object]
"""A row of a plugin's table: Volatility's own values by the names of the columns."""

QUERY_TIME_S = 20.0
MAX_ROWS = 1 << 17
_BAD_MEMORY = (
    *(exceptions.VolatilityException, GlassBoxError, ArithmeticError, LookupError, ValueError, TypeError),
    *(AttributeError, RecursionError),
)


class VolatilityAdapter:
    """Volatility on one guest. Not thread-safe.

    Pages are read once, when first needed, until `forget`.

    Attributes:
        context: Volatility's own context, for direct use of its library; its module ``kernel`` is the kernel.
    """

    def __init__(self, ram: GuestRam, kernel: KernelSymbols, query_time_s: float = QUERY_TIME_S) -> None:
        """Load Volatility for `kernel`; `NoTypesError` when that carries no types. A query ends after `query_time_s`."""
        self.context = contexts.Context()
        self._query_time_s = query_time_s
        self._layer = self._add_layers(ram, kernel)
        self._kernel = self._add_symbols(kernel)

    def forget(self) -> None:
        """Drop the page copies: later reads see the guest's current memory."""
        self._layer.forget()

    def object(self, type_name: str, address: int) -> interfaces.objects.ObjectInterface:
        """Volatility's object for the `type_name` at kernel virtual `address`; its members are read on access."""
        return self._kernel.object(type_name, offset=address, absolute=True)

    def run(self, plugin: str, **settings: JsonValue) -> list[PluginRow]:
        """The rows of one of Volatility's Linux plugins (``linux.pslist.PsList``), by the names of its columns.

        `settings` are its options (``pid=[1]``). Raises `UsageError` for a plugin that does not exist or needs more than
        a kernel, `GuestError` when memory cannot be read, time runs out, or there are more than `MAX_ROWS` rows.
        """
        rows: list[PluginRow] = []
        with self._limited(plugin):
            made = self._make(plugin, settings)
            grid = made.run()
            names = [column.name for column in grid.columns]

            def add(node: interfaces.renderers.TreeNode, accumulator: None) -> None:
                if len(rows) >= MAX_ROWS:
                    raise GuestError(f"{plugin} returns more than {MAX_ROWS} rows; narrow it down with its options")
                rows.append(dict(zip(names, node.values, strict=True)))

            grid.populate(add, None)
        return rows

    def _make(self, plugin: str, settings: Mapping[str, JsonValue]) -> interfaces.plugins.PluginInterface:
        module_name, _, name = plugin.rpartition(".")
        path = f"glassbox.plugins.{name}"
        self.context.config[f"{path}.kernel"] = "kernel"
        for key, value in settings.items():
            self.context.config[f"{path}.{key}"] = value
        try:
            if not module_name.startswith("linux."):
                raise ImportError
            made = getattr(importlib.import_module(f"{volatility3.plugins.__name__}.{module_name}"), name)
            if not issubclass(made, interfaces.plugins.PluginInterface):
                raise TypeError
            return made(self.context, path)
        except (ImportError, AttributeError, TypeError, exceptions.PluginRequirementException):
            hint = "name one such as linux.lsof.Lsof, with the options that it demands"
            raise UsageError(f"Volatility has no plugin {plugin!r} that needs only a kernel; {hint}") from None

    @contextmanager
    def _limited(self, plugin: str) -> Iterator[None]:
        """Limit the time of the body, and turn its errors into `GuestError` with a reason."""
        self._layer.deadline = time.monotonic() + self._query_time_s
        # Plugins leave behind settings and a layer for every process that they look into.
        layers, settings = set(self.context.layers), self.context.config
        self.context.config = settings.clone()
        try:
            yield
        except OutOfTimeError:
            raise GuestError(
                f"{plugin} exceeded its time budget of {self._query_time_s:g} s; pause the machine, or ask for less"
            ) from None
        except (GuestError, UsageError):
            raise
        except _BAD_MEMORY as error:
            what = f"{type(error).__name__}: {error}".splitlines()[0][:200]
            raise GuestError(f"{plugin} cannot read this guest ({what}); retry, or pause the machine") from None
        finally:
            self._layer.deadline = float("inf")
            self.context.config = settings
            for name in set(self.context.layers) - layers:
                self.context.layers.del_layer(name)
            extensions.task_struct.add_process_layer.cache_clear()

    def _add_layers(self, ram: GuestRam, kernel: KernelSymbols) -> KernelLayer:
        tables, context = kernel.page_tables, self.context
        context.add_layer(RamLayer(context, "glassbox.ram", "ram", ram))
        settings = {
            "memory_layer": "ram",
            "page_map_offset": tables.root,
            "kernel_virtual_offset": kernel.kaslr_offset,
        }
        for key, value in settings.items():
            context.config[f"glassbox.kernel.{key}"] = value
        kind = KernelLayer5 if tables.levels == 5 else KernelLayer
        layer = kind(context, "glassbox.kernel", "kernel_layer", tables)
        context.add_layer(layer)
        return layer

    def _add_symbols(self, kernel: KernelSymbols) -> interfaces.context.ModuleInterface:
        table = linux.LinuxKernelIntermedSymbols(
            self.context, "glassbox.symbols", "symbols", isf_url=kernel.isf_path.as_uri(), validate=False
        )
        self.context.symbol_space.append(table)
        # Plugins ask for the kernel by the name of its module.
        return contexts.Module.create(
            self.context,
            module_name="kernel",
            layer_name=self._layer.name,
            offset=kernel.kaslr_offset,
            symbol_table_name="symbols",
        )
