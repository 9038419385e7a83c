"""What a topic reads in a question."""

from __future__ import annotations

from qemu_bridge.gateway.understanding.reading import Owner, Reading
from qemu_bridge.gateway.understanding.tokens import read_tokens


def read(text, names):
    return Reading(read_tokens(text, names), names, text)


def test_a_topic_has_to_account_for_everything(names):
    reading = read("show crond's heap", names)
    assert reading.items == {"show", "owner", "heap"}
    assert reading.within({"heap"}, {"show", "owner"}) and not reading.within({"heap"}, {"show"})
    assert not reading.within({"stack"}, {"show", "owner", "heap"})


def test_owners_are_processes_by_name_or_number(names):
    assert [str(owner) for owner in read("heap of cron and pid 96", names).owners] == [
        "process crond (for 'cron')",
        "process 96",
    ]
    assert [owner.target for owner in read("heap of cron and pid 96", names).owners] == ["comm:crond", "pid:96"]
    assert Owner("kworker/0:0-rcu_gp").target == "comm:kworker/0:0-rcu_gp"


def test_a_question_for_yes_or_no_is_known(names):
    assert read("is crond running", names).asks_whether and not read("what is running", names).asks_whether


def test_numbers_and_plurals(names):
    reading = read("top 5 processes", names)
    assert reading.number("limit") == 5 and reading.number("pid") is None and reading.is_plural("process")
