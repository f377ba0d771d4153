"""The report: exactly the promised JSON, and a text that a person can act on."""

import json
import math

import pytest

from nnwatch.card import Card
from nnwatch.cli import main
from nnwatch.frame import End, Event, Evidence, Finding, Judgement, Remedy, Run
from nnwatch.history import History
from nnwatch.narrate import Narrator
from nnwatch.report import Summary, finding_json, headline, text

from .doors import Home

RUN_KEYS = (
    "name host command python status exit signal first_time last_time last_step planned_steps segments ranks continues"
    " overhead rules_judged rules_abstained"
)
FINDING_KEYS = (
    "rule kind severity status first_step last_step first_time last_time segment rank layer primary explained_by"
    " evidence remedies"
)


def finding(id=1, rule="lr-too-high", severity="warn", status="open", **fields):
    made = {
        "id": id, "rule": rule, "title": "Too high", "kind": "statistical", "severity": severity, "status": status,
        "first_step": 5, "last_step": 20, "first_time": 1.0, "last_time": 2.0, "what": "large", "why": "both",
        "evidence": [Evidence("update.ratio", 0.3, 0.001), Evidence("update.ratio", math.inf, layer="fc")],
        "remedies": [Remedy("Lower lr", "0.3 -> 0.001", "update.ratio near 0.001")],
    }  # fmt: skip
    return Finding(**(made | fields))


def summary(*frames):
    history = History()
    for frame in (Run("one", "id", "host", ["python", "x.py"], "python", "/", 10.0), *frames):
        history.apply(frame)
    return Summary(history, Card("id", "one", "/s.nnw", ["python", "x.py"], "/", 10.0, attach="nnwatch attach one"))


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    home = Home(tmp_path_factory.mktemp("report"))
    home.nnwatch("run", "--name", "recorded", "trainer.py", "40", "0", "exit3")
    return home


def test_the_json_has_the_promised_keys(recorded):
    report = json.loads(recorded.nnwatch("report", "recorded", "--json").stdout)
    assert set(report) == {"schema", "session", "run", "autopsy", "findings"}
    assert report["schema"] == 1
    assert set(report["run"]) == set(RUN_KEYS.split())
    run = report["run"]
    assert (run["name"], run["status"], run["exit"], run["signal"]) == ("recorded", "failed", 3, None)
    assert (run["last_step"], run["planned_steps"], run["segments"], run["ranks"]) == (40, 40, 1, 1)
    assert run["overhead"] is None  # the trainer of this test has no probes: missing is not zero
    assert run["first_time"] < run["last_time"]
    [crashed] = report["findings"]
    assert set(crashed) >= set(FINDING_KEYS.split())
    assert (crashed["rule"], crashed["primary"], crashed["explained_by"]) == ("crashed", True, None)
    assert {"title", "change", "expect"} == set(crashed["remedies"][0])


def test_json_has_no_infinities_and_keeps_every_piece_of_evidence():
    made = finding_json(finding(explained_by=7), {7: "divergence"})
    assert json.loads(json.dumps(made, allow_nan=False))["explained_by"] == "divergence"
    assert made["evidence"]["update.ratio"]["value"] == 0.3
    assert made["evidence"]["update.ratio#2"] | {"meaning": ""} == {
        "value": "inf", "reference": None, "meaning": "", "first_step": 0, "last_step": 0, "layer": "fc",
    }  # fmt: skip


def test_the_text_says_how_it_ended_and_what_to_do(recorded):
    said = recorded.nnwatch("report").stdout
    assert "recorded failed with exit code 3, step 40" in said
    assert "FATAL crashed" in said
    assert "do 1" in said


def test_consequences_are_folded_under_their_cause():
    about = summary(finding(primary=True), finding(2, "dead-relu", explained_by=1), End(20.0, "finished", 0))
    lines = text(about).splitlines()
    assert sum(line.startswith("WARN") and "(open" in line for line in lines) == 1
    assert any(line.startswith("  explains warn dead-relu") for line in lines)
    assert "  do: Lower lr: 0.3 -> 0.001. Expect: update.ratio near 0.001" in headline(about)


@pytest.mark.parametrize(
    ("end", "says"),
    [
        (End(1.0, "finished", 0), "one finished"),
        (End(1.0, "failed", 4), "one failed with exit code 4"),
        (End(1.0, "killed", None, 9), "one was ended by SIGKILL"),
        (End(1.0, "killed", None, 99), "one was ended by signal 99"),
        (End(1.0, "lost", cause="the launcher was killed"), "one lost (the launcher was killed)"),
    ],
)
def test_every_end_has_its_words(end, says):
    assert headline(summary(end))[0].startswith(says)


def test_a_finding_is_told_when_it_opens_when_its_severity_changes_and_when_it_resolves():
    tell = Narrator().tell
    assert next(line.split()[2:4] for line in tell(finding(severity="watch"))) == ["WATCH", "lr-too-high:"]
    assert list(tell(finding(severity="watch", last_step=30))) == []
    assert [line.split()[2] for line in tell(finding(severity="error"))] == ["worse:"]
    assert list(tell(finding(status="resolved"))) == ["step 20  resolved lr-too-high"]
    assert list(tell(finding(status="resolved"))) == []
    assert len(list(tell(finding()))) == 3


def test_a_terminal_that_is_not_utf_8_gets_what_it_can_show(recorded):
    done = recorded.nnwatch("report", env={"PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stderr) == (0, "")
    assert "with status 3 ? gone" in done.stdout


def test_explain_and_metrics_print_what_there_is(capsys):
    assert main(["explain", "lr-too-high"]) == 0
    assert "Why it matters" in capsys.readouterr().out
    assert main(["explain", "update.ratio"]) == 0
    assert main(["explain"]) == 0
    assert "overfitting" in capsys.readouterr().out
    assert main(["metrics"]) == 0
    assert "update.ratio" in capsys.readouterr().out


def test_a_fact_is_told_in_a_line_and_a_warning_with_what_to_do():
    told = list(Narrator().tell(finding(severity="info")))
    assert told == ["step 20  INFO lr-too-high: Too high: large"]
    assert [line.split()[0] for line in Narrator().tell(finding())] == ["step", "because", "do:"]


def test_rules_that_could_not_judge_stand_together_by_their_reason():
    why = {"plateau": "no numbers", "amp-overflow": "no scaler", "overfitting": "no numbers"}
    lines = text(summary(Judgement(40, 0, 0, ["lr-too-high"], why))).splitlines()
    assert lines[lines.index("1 rules judged, 3 could not:") + 1 :] == [
        "  no numbers: overfitting, plateau",
        "  no scaler: amp-overflow",
    ]


def test_a_recording_from_elsewhere_writes_nothing_but_text_on_the_terminal():
    [line] = Narrator().tell(
        Event("notice", 1.0, 3, data={"text": "\x1b]0;title\x07\x1b[2Jred \x1b[31malert\x1b[0m\x9b2J\r"})
    )
    assert line == "red alert2J"
