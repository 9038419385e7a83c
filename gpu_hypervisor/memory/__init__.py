"""Device memory of tenants: a ledger exact to the byte, and buffers that leave the device while nobody uses them."""

from .buffer import Buffer
from .ledger import TenantLedger
from .residency import Residency

__all__ = ["Buffer", "Residency", "TenantLedger"]
