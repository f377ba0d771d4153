"""The HTML page: complete in itself, true to the numbers, and nothing in it is taken for markup."""

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from nnwatch import cli
from nnwatch.frame import Commit, Console, Run, pack
from nnwatch.history import History
from nnwatch.page import Line, _lines, chart, thinned
from nnwatch.session import Writer

from ..tui.recording import START
from ..tui.sessions import SESSIONS


class Tags(HTMLParser):
    """Names of all tags, and whether each that was opened was closed in its turn."""

    ALONE = ("meta", "line", "polyline", "br")

    def __init__(self):
        super().__init__()
        self.open, self.seen = [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in self.ALONE:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.ALONE:
            assert self.open.pop() == tag


def made(tmp_path, session, more=()):
    path = tmp_path / "run.nnw"
    writer = Writer(path)
    writer.append([*SESSIONS[session](), *more], Commit(START + 5000))
    writer.close()
    out = tmp_path / "run.html"
    assert cli.main(["report", str(path), "--html", str(out)]) == 0
    text = out.read_text("utf-8")
    tags = Tags()
    tags.feed(text)
    assert tags.open == []
    return text, tags.seen


def test_the_page_tells_what_was_found_what_to_do_and_shows_the_curves(tmp_path):
    text, tags = made(tmp_path, "faulty")
    for word in ("ERROR learning rate too high", "at train.py:41", "Curves", "gradient norm", "rules could not judge"):
        assert word in text
    assert sum(name == "svg" for name, _ in tags) >= 4


@pytest.mark.parametrize("session", sorted(SESSIONS))
def test_any_state_of_a_run_makes_a_page(tmp_path, session):
    made(tmp_path, session)


def test_it_needs_nothing_else(tmp_path):
    text, tags = made(tmp_path, "overfitting")
    assert not re.search(r"https?:|url\(|@import", text)
    assert not {"script", "link", "img", "iframe"} & {name for name, _ in tags}


def test_nothing_that_a_run_says_is_taken_for_markup(tmp_path):
    evil = "<script>alert(1)</script>&"
    run = Run(evil, evil, evil, ["python", evil], evil, "", START)
    text, tags = made(tmp_path, "healthy", [run, Console(START, f"{evil}\n", 1)])
    assert "script" not in {name for name, _ in tags}
    assert "&lt;script&gt;" in text
    assert pack(run)  # it is a frame that a session may hold


def test_a_file_that_is_there_is_not_overwritten(tmp_path, capsys):
    made(tmp_path, "healthy")
    assert cli.main(["report", str(tmp_path / "run.nnw"), "--html", str(tmp_path / "run.html")]) == 2
    assert capsys.readouterr().err == f"nnwatch: {tmp_path}/run.html: exists already and is not overwritten; " + (
        "give the name of a new file\n"
    )
    assert cli.main(["report", str(tmp_path / "run.nnw"), "--html", str(tmp_path / "no" / "run.html")]) == 2


values = arrays.arrays(np.float64, st.integers(1, 3000), elements=st.floats(-1e6, 1e6) | st.just(float("nan")))


@given(values, st.integers(1, 50))
def test_thinning_keeps_the_extremes_and_the_order(values, pieces):
    steps, kept = thinned(np.arange(len(values), dtype=float), values, pieces)
    assert len(steps) == len(kept) <= max(2 * pieces, min(len(values), 2 * pieces))
    assert (np.diff(steps) > 0).all()
    finite = values[np.isfinite(values)]
    if len(finite):
        assert np.nanmin(kept) == finite.min()
        assert np.nanmax(kept) == finite.max()


@given(values.filter(lambda v: np.isfinite(v).any()))
def test_a_chart_is_well_formed_and_inside_its_frame(values):
    text = chart([Line("a < b", np.arange(len(values), dtype=float), values)], [])
    svg = ElementTree.fromstring(re.sub(r"class=(\w+)", r'class="\1"', text[text.index("<svg") :]))
    numbers = [float(n) for line in svg.findall("polyline") for n in re.split("[ ,]", line.get("points", ""))]
    assert numbers
    assert 0 <= min(numbers) <= max(numbers) <= 900


def test_a_gap_is_a_gap_and_a_single_value_is_seen():
    text = chart([Line("a", np.arange(5.0), np.array([1.0, 2.0, np.nan, 3.0, np.nan]))], [])
    assert text.count("<polyline") == 2
    assert re.findall(r"a is not finite from step (\d)", text) == ["2", "4"]
    assert "</span> nan<" in text


def test_a_loss_that_became_nan_is_marked_where_it_did():
    history = History()
    for frame in SESSIONS["crashed"]():
        history.apply(frame)
    assert history.main is not None
    assert re.findall(r"is not finite from step (\d+)", chart(list(_lines(history.main, ("loss.train",))), [])) == [
        "410"
    ]
