"""A short look at what `make fuzz` does at length: malformed connections and frames break nothing and leave nothing."""

import gc
import os
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.attack import SEEDS, TOKEN, Target, broken, parse


def test_attacks_leave_no_viewer_and_no_file_behind(tmp_path):
    target, dice = Target(tmp_path), random.Random(7)
    gc.collect()  # what other tests have left must not close meanwhile
    before = len(os.listdir("/proc/self/fd"))
    answers = [target.attack(SEEDS[0] * (i % 2), broken(dice), token=TOKEN) for i in range(2000)]
    assert 1000 < sum(map(bool, answers)) < 1500  # those that began well, and some that were nearly right
    assert not target.server.watched
    assert len(os.listdir("/proc/self/fd")) == before
    assert target.attack(SEEDS[0], token=TOKEN)  # and who says it right is still let in
    assert not target.attack(SEEDS[6], token=TOKEN)
    target.close()


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**63))
def test_whatever_is_broken_is_skipped_or_refused_and_never_an_exception(seed):
    parse(broken(random.Random(seed)))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400))
def test_bytes_without_meaning_are_no_frames(data):
    parse(data)
