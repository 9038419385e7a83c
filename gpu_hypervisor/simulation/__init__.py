"""Loads of many tenants against the scheduler that serves real ones, in simulated time.

>>> report = run(saturated(tenants=100, devices=10, seconds=10.0))
>>> report.jain, report.utilisation
(0.9998, 1.0)
"""

from .loads import Load, SimulatedJob, recorded_day, saturated
from .report import Report
from .world import World, run

__all__ = ["Load", "Report", "SimulatedJob", "World", "recorded_day", "run", "saturated"]
