"""Proofs that two kernels do the same: symbolic execution of the IR by the operation table's Z3 forms, loops by induction.

`equivalence.prove_equal` gives a `Finding`: proved, refuted with inputs that differ when they are run, or unknown with the reason.
"""
