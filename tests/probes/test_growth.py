"""Watching does not add up: neither memory nor objects grow with the steps, and there is no thread of ours."""

from .growth import GROWTH
from .harness import run


def test_memory_objects_and_threads_stay():
    watched = run(GROWTH, args=("3000", "6"), ring_bytes=256 << 10)
    assert watched.returncode == 0, watched.stderr
    assert watched.steps("loss.train")[:1000] == list(range(1, 1001))
    said, bare = watched.printed(), run(GROWTH, watched=False, args=("100", "2")).printed()
    assert said[-1]["objects"] - said[1]["objects"] < 50
    assert said[-1]["rss"] - said[1]["rss"] < 2 << 20
    assert {now["threads"] for now in said} == {bare[-1]["threads"]}
