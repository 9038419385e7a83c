"""Questions in words become operations: deterministic, from a table of words and the names that are in the guest now.

A question is read from its words (`tokens`), which stand for concepts (`vocabulary`), names of the guest (`names`), numbers and addresses. A
topic (`topics`, `processes`, `memory`) answers if it can account for all of them: a word that nobody accounts for, or two topics with different
answers, make `Unsure`, with what may have been meant.

>>> understand("what processes are running?", names).command("demo")
('glassbox', 'ps', 'demo')
"""

from .names import GuestNames, KnownProcess, Names, StaticNames
from .request import Request, Unsure
from .understand import EXAMPLES, understand

__all__ = ["EXAMPLES", "GuestNames", "KnownProcess", "Names", "Request", "StaticNames", "Unsure", "understand"]
