"""Claims: what a source says of pages, until it is cleared."""

import numpy as np

from qemu_bridge.introspection.classes.claims import Claims
from qemu_bridge.wire.records import PageClass


def test_the_last_claim_on_a_page_counts_and_clearing_names_all_claimed_pages():
    claims = Claims(8)
    claims.set(np.array([1, 2]), PageClass.SLAB, 5, 3)
    claims.set(np.array([2, 7]), PageClass.PAGE_TABLE, [6, 7])
    assert claims.page_class.tolist() == [0, PageClass.SLAB, PageClass.PAGE_TABLE, 0, 0, 0, 0, PageClass.PAGE_TABLE]
    assert claims.owner.tolist() == [0, 5, 6, 0, 0, 0, 0, 7] and claims.flags.tolist() == [0, 3, 0, 0, 0, 0, 0, 0]
    assert set(claims.pages.tolist()) == set(claims.clear().tolist()) == {1, 2, 7}
    assert not claims.page_class.any() and not claims.owner.any() and not claims.flags.any() and not len(claims.pages)
