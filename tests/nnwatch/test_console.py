"""The console follower: text as the terminal would show it, bounded, and each line once."""

from hypothesis import given
from hypothesis import strategies as st

from nnwatch.console import Follower


def shown(texts):
    """What a pane shows that lets a text beginning with a carriage return replace an unfinished line."""
    screen = ""
    for text in texts:
        if text.startswith("\r"):
            screen = screen[: screen.rfind("\n") + 1] + text[1:]
        else:
            screen += text
    return screen


PIECES = st.sampled_from(["a", "bc", "\n", "\r", "\r\n", "ä", "done"])


@given(st.lists(PIECES, max_size=30), st.lists(st.integers(1, 9)))
def test_however_it_arrives_the_same_is_shown(tmp_path_factory, parts, sizes):
    data = "".join(parts).encode()
    path = tmp_path_factory.mktemp("console") / "console"
    follower, texts, time = Follower(path), [], 0.0
    at = 0
    for size in [*sizes, len(data)]:
        with path.open("ab") as file:
            file.write(data[at : at + size])
        at = min(at + size, len(data))
        time += 0.4
        texts += [frame.text for frame in follower.read(time, 1)]
    texts += [frame.text for frame in follower.read(time + 9, 1, last=True)]
    lines = data.decode().replace("\r\n", "\n").split("\n")
    assert shown(texts) == "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in lines)


def test_a_progress_bar_is_one_line_that_changes_once_a_second(tmp_path):
    path = tmp_path / "console"
    follower, texts = Follower(path), []
    for i in range(100):
        with path.open("ab") as file:
            file.write(f"\r{i}%".encode())
        texts += [frame.text for frame in follower.read(i * 0.1, i)]
    assert len(texts) <= 11
    assert shown(texts).endswith("%")


def test_a_new_follower_goes_on_where_the_last_one_was(tmp_path):
    path = tmp_path / "console"
    path.write_bytes(b"one\ntwo\nthr")
    first = Follower(path)
    texts = [frame.text for frame in first.read(9.0, 0)]
    with path.open("ab") as file:
        file.write(b"ee\n")
    second = Follower(path, first.position)
    texts += ["\r" + frame.text for frame in second.read(10.0, 0)]
    assert shown(texts) == "one\ntwo\nthree\n"


def test_a_flood_is_cut_in_the_middle_and_says_so(tmp_path):
    path = tmp_path / "console"
    path.write_bytes(b"x" * 99 + b"\n" + b"y\n" * 2_000_000)
    follower = Follower(path)
    [frame] = follower.read(0.0, 0)
    assert "left out" in frame.text
    assert len(frame.text) < 70_000
    assert follower.position == path.stat().st_size


def test_without_a_console_there_is_nothing(tmp_path):
    assert Follower(tmp_path / "none").read(0.0, 0) == []
