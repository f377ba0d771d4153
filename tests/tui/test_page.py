"""Pages of text: prose is broken for the width, lists and tables stay."""

from hypothesis import given
from hypothesis import strategies as st

from nnwatch.advisor.page import metric_page, page
from nnwatch.tui.screens.page import hung, reflow

LONG = "words " * 14 + "end"


def test_a_paragraph_is_broken_anew_and_keeps_its_indent():
    text = f"Title\n    {LONG}\n    and its last line.\n    A short one.\n\n  1. a list\n  2. stays"
    shown = reflow(text, 40).splitlines()
    assert shown[0] == "Title"
    assert all(len(line) <= 40 for line in shown)
    assert all(line.startswith("    ") for line in shown[1:4])
    assert " ".join(line.strip() for line in shown[1:-4]) == f"{LONG} and its last line."
    assert shown[-4:] == ["    A short one.", "", "  1. a list", "  2. stays"]


def test_a_line_of_a_comparison_goes_on_below_itself():
    assert hung("loss: 0.1 → 0.2 of all\n  lr: 1 → 2", 14).splitlines() == [
        "loss: 0.1 →",
        "    0.2 of all",
        "  lr: 1 → 2",
    ]


@given(st.sampled_from(["lr-too-high", "overfitting", "dead-relu"]), st.integers(30, 120))
def test_no_word_of_a_page_is_lost_or_cut(name, width):
    shown = reflow(page(name), width)
    assert "".join(shown.split()) == "".join(page(name).split())
    assert all(len(line) <= width for line in shown.splitlines() if " " in line.strip())


def test_what_reads_a_metric_is_a_line_each():
    told = metric_page("update.ratio")
    readers = [line for line in told.splitlines() if line.startswith("  ")]
    assert [line for line in reflow(told, 92).splitlines() if line in readers] == readers
