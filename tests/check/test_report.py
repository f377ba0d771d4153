"""The report of a check, made from little sessions: text, JSON, and the page."""

import base64
import json
from html.parser import HTMLParser
from typing import Any

import pytest

from nnwatch.advisor.check import all_checks
from nnwatch.advisor.examine import examine
from nnwatch.check import page, plots, report
from nnwatch.errors import RunError
from nnwatch.history import History

from ..advisor.test_checks import BROKEN, history

PICTURES = [
    {
        "sample": 7,
        "why": "not finite",
        "target": "3",
        "size": [1, 4, 4],
        "pixels": base64.b64encode(bytes(16)).decode(),
    },
    {"sample": 9, "why": "constant", "target": "", "values": [0.0, 1.0, None, 2.0]},
]
TRIED: dict[str, Any] = {
        "data": {
            "sets": {
                "train": {
                    "rows": 1000,
                    "read": 500,
                    "shape": [1, 4, 4],
                    "pictures": PICTURES,
                    "histogram": {"edges": [0.0, 1.0], "counts": [3, 4]},
                    "target": {"counts": {str(i): 50 for i in range(10)}},
                }
            }
        },
        "range": {"rates": [1e-4, 1e-3, 1e-2, 0.1], "losses": [2.3, 2.2, 1.0, 9.0], "suggested": 1e-2, "ceiling": 0.1,
                  "present": 1e-3, "groups": [1.0]},
        "overfit": {"loss_kind": "cross-entropy", "samples": 16, "rungs": [], "losses": [2.3, 1.0, 1e-3], "floor": 0.5,
                    "first": 2.3, "last": 1e-3, "accuracy": 1.0},
        "scheduler": {"rates": [0.1, 0.05, 0.0], "planned": 300, "order": False},
    }  # fmt: skip
TOLD: dict[str, Any] = {
    "facts": {"classes": 10, "loss": {"name": "cross_entropy"}, "dropout": [["drop", 0.5]]},
    "loss.train": "2.3*0.98x40",
    "trials": TRIED,
}


def text(session: dict[str, Any], width: int, some: bool = False) -> str:
    seen = history(session)
    return report.text(seen, examine(seen), width, some)


def html(session: dict[str, Any]) -> str:
    seen = history(session)
    return page.page(seen, examine(seen))


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.text: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        self.links += [str(value) for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data):
        self.text.append(data)


class TestText:
    def test_stages_come_in_the_order_of_the_notes(self):
        lines = text(TOLD, 120).splitlines()
        stages = [line for line in lines if line.isupper() and line[0] != " "]
        assert stages == ["DATA", "SKELETON AND BASELINES", "OVERFIT", "REGULARISE", "TUNE"]

    def test_it_closes_with_the_one_thing_to_change(self):
        said = text(BROKEN, 100)
        assert said.rstrip().splitlines()[-1].strip().endswith("the first loss is that of a guess")
        assert "Change first (input-normalisation): x → (x - 33) / 78" in said
        assert "follows from input-normalisation" in " ".join(said.split())
        assert "notes C67, C180, C358, B30" in " ".join(said.split())

    def test_nothing_is_wider_than_the_terminal(self):
        assert max(map(len, text(BROKEN, 90).splitlines())) <= 90

    def test_a_sound_script_has_nothing_to_change(self):
        assert "Nothing has to be changed before the training." in text(TOLD, 100)

    def test_what_was_not_possible_for_one_reason_is_told_once(self):
        told = text({**TOLD, "trials": {"data": {"state": "not possible", "why": "no loader was seen"}}}, 200)
        assert told.count("no loader was seen") == 1
        assert "  -      data-report, corrupt, " in told

    def test_what_was_not_asked_for_is_left_out(self):
        few = {**TOLD, "trials": {"range": TRIED["range"]}}
        assert "overfit-batch" in text(few, 100)
        assert "overfit-batch" not in text(few, 100, some=True)
        assert "lr-range" in text(few, 100, some=True)

    def test_a_script_that_trained_nothing(self):
        assert report.text(History(), examine(History()), 100).endswith("Nothing could be asked.\n")


def test_json_has_every_answer_and_is_json():
    seen = history(BROKEN)
    told = json.loads(json.dumps(report.json(seen, examine(seen), "x.nnw"), allow_nan=False))
    assert told["worst"] == "error"
    assert told["first"] == "input-normalisation"
    by_id = {row["check"]: row for row in told["checks"]}
    assert set(by_id) | set(told["beside"]) == {check.id for check in all_checks()}
    assert by_id["initial-loss"]["state"] == "error"
    assert by_id["initial-loss"]["value"] == pytest.approx(31)
    assert by_id["initial-loss"]["reference"] == pytest.approx(2.302585)
    assert by_id["initial-loss"]["because"] == "input-normalisation"
    assert by_id["overfit-batch"]["state"] == "not possible"
    assert told["trials"]["data"]["sets"]["train"]["rows"] == 10


def test_what_the_script_touched_is_told():
    touched = {"how": "overlay", "written": ["a.pt", "b.pt"], "connections": ["example.org:443"], "loaded": ["last.pt"]}
    said = text({**TOLD, "trials": {"containment": touched}}, 120)
    assert "kept from your files, and wrote a.pt, b.pt." in said
    assert "It connected to example.org:443." in said
    assert "It loaded last.pt before its first step" in said


class TestPage:
    def test_it_needs_nothing_else(self):
        tags = Tags(html(TOLD))
        assert not {"script", "link", "iframe"} & set(tags.seen)
        assert all(link.startswith("data:image/png;base64,") for link in tags.links)
        assert len(tags.links) == 1

    def test_it_draws_what_was_tried_and_what_stands_out(self):
        made = html(TOLD)
        words = " ".join(Tags(made).text)
        for said in ("suggested", "present", "ceiling", "what is possible", "Schedule", "not finite", "target 3"):
            assert said in words
        # range, overfit, schedule, inputs, labels, and a flat sample
        assert made.count("<svg") == 6

    def test_what_a_script_says_cannot_become_markup(self):
        told = {**TOLD, "trials": {"data": {"sets": {"train": {"rows": 3, "read": 3, "pictures": [
            {"sample": 1, "why": "<script>alert(1)</script>", "target": "<b>", "values": [1.0, 2.0]}],
            "errors": [[1, "<img src=x>"]], "bad": {"errors": 1}}}}}}  # fmt: skip
        tags = Tags(html(told))
        assert "script" not in tags.seen
        assert tags.links == []

    def test_a_file_that_is_there_is_left_as_it_is(self, tmp_path):
        seen = history(TOLD)
        there = tmp_path / "page.html"
        there.write_text("mine")
        with pytest.raises(RunError, match="exists already"):
            page.write(seen, examine(seen), there)
        assert there.read_text() == "mine"
        with pytest.raises(RunError, match="cannot be written"):
            page.write(seen, examine(seen), tmp_path / "no" / "page.html")


class TestPlots:
    def test_a_curve_with_nothing_to_draw_is_empty(self):
        assert plots.curve([1.0, 2.0], [[None, float("nan")]], []) == ""
        assert plots.curve([1.0], [[1.0]], []) == ""
        assert plots.bars([], []) == ""

    def test_a_log_axis_spaces_rates_evenly(self):
        text = plots.curve([1e-4, 1e-2, 1.0], [[1.0, 2.0, 3.0]], [], log_x=True)
        points = text.split('points="')[1].split('"')[0].split()
        x = [float(point.split(",")[0]) for point in points]
        assert x[1] - x[0] == pytest.approx(x[2] - x[1], abs=0.2)

    def test_a_picture_is_a_png_of_its_size(self):
        address = plots.picture([3, 2, 5], base64.b64encode(bytes(range(30))).decode()).split('src="')[1].split('"')[0]
        raw = base64.b64decode(address.partition(",")[2])
        assert raw[:8] == b"\x89PNG\r\n\x1a\n"
        assert int.from_bytes(raw[16:20], "big") == 5
        assert int.from_bytes(raw[20:24], "big") == 2
