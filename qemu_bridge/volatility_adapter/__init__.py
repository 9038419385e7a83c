"""Processes, memory maps and modules of a guest, through Volatility's eyes, live.

Volatility 3 is made for one look at a dead image. Here it stays loaded and looks at running memory again and again, so
this package gives it layers of its own (`layers`), and of its machinery keeps the types and objects alone: no automagic,
no plugins, no caches. No other part of Glass Box imports it.
"""

from .adapter import VolatilityAdapter

__all__ = ["VolatilityAdapter"]
