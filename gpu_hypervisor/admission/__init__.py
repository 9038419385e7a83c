"""What becomes of a submitted text before it may run: parsed, verified, its accesses proved or checked, compiled; in a process that may die."""

from .builders import Builders
from .built import BuildRequest, Built, Failure

__all__ = ["BuildRequest", "Builders", "Built", "Failure"]
