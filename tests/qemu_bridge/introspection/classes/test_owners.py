"""Owners and their numbers: the same number for the same thing, whatever it is called by now."""

from qemu_bridge.introspection.classes.owners import FIRST_NUMBER, KERNEL, NO_OWNER, OwnerBook, owner_of


def test_a_thing_keeps_its_number_when_it_is_renamed():
    book = OwnerBook()
    number = book.number("file", 0x1000, "/tmp/a")
    assert number == FIRST_NUMBER and book.number("slab", 0x1000, "dentry") == number + 1
    edition = book.edition
    assert book.number("file", 0x1000, "/tmp/a") == number and book.edition == edition
    assert book.number("file", 0x1000, "/tmp/b") == number and book.edition > edition
    assert book.get(number).name == "/tmp/b" and len(book) == 2


def test_nobody_the_kernel_and_processes_have_numbers_of_their_own():
    book = OwnerBook()
    book.set_processes([owner_of(80, "sh")])
    assert (book.get(0), book.get(1), book.get(81)) == (NO_OWNER, KERNEL, owner_of(80, "sh"))
    assert book.get(82) == book.get(FIRST_NUMBER) == NO_OWNER
    assert set(book.owners([])) == {0, 1, 81}
