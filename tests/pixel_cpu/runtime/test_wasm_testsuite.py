"""The specification's own testsuite on lanes: every command that is about modules and numbers ends as it says."""

from collections import Counter

import pytest
from wasm_runs import Here
from wasm_testsuite import Suite, suite_folder


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_the_testsuite_of_the_specification():
    counts, reasons, faults = Counter(), Counter(), []
    for script in sorted(suite_folder().glob("*.wast.js")):
        if script.name.startswith("simd_"):
            continue
        found = Suite(script, Here()).run()
        counts += found.counts
        reasons += found.reasons
        faults += found.faults
    print(dict(counts), *reasons.most_common(), sep="\n")
    assert not faults
    # Nothing hides behind what is not supported.
    assert counts["refused"] < 10 and counts["as the specification says"] > 20_000
