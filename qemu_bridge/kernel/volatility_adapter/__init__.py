"""Volatility on a running guest: its own plugins and objects, over layers that read live memory.

Glass Box reads what it needs by itself (`objects`, `columns`), a hundred times as fast. Volatility knows a great many rarer
things, and is what our readers are compared with in tests. It is made for one look at a dead image; here it stays loaded and
looks at running memory again and again, so this package gives it layers of its own (`layers`), and of its machinery takes
types, objects and plugins: no automagic, no stacking, no caches.
"""

from .adapter import VolatilityAdapter

__all__ = ["VolatilityAdapter"]
