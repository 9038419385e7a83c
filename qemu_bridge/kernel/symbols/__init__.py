"""Names for guest memory from the guest's RAM alone: `KernelSymbols` finds the kernel, its symbols and its types."""

from .btf import Btf, Member
from .btf_format import Kind
from .kallsyms import KallsymsTable
from .kernel import KernelSection, KernelSymbols
from .vmcoreinfo import VmCoreInfo, find_vmcoreinfo

__all__ = ["Btf", "KallsymsTable", "KernelSection", "KernelSymbols", "Kind", "Member", "VmCoreInfo", "find_vmcoreinfo"]
