"""nnwatch.toml: where it is found, how it reaches the monitor, and what is said when it is wrong."""

import pytest

from nnwatch import settings
from nnwatch.errors import RunError

from .doors import history

OWN = '''
from nnwatch.advisor.finding import Found
from nnwatch.advisor.rule import Rule
from nnwatch.frame import Evidence


def check(at, limit):
    """The loss is under the user's line.

    Why it matters
        It is what the user waits for.
    """
    loss = float(at.loss.scalar[-1])
    if loss >= limit["line"]:
        return None
    seen = Evidence("loss.train", loss, limit["line"], "newest loss against the line", at.step, at.step)
    return Found("info", f"the loss is {loss:.3g}", ("it is under the line",), at.step, (seen,), (), "", exact=True)


RULE = Rule("under-the-line", "under the line", "fact", ("loss.train",), (), "the user", check, {"line": 0.5})
'''


def test_the_nearest_file_counts_and_pyproject_is_one_too(tmp_path):
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    assert settings.read(inner) == {}
    (tmp_path / "pyproject.toml").write_text('[tool.nnwatch.rules]\ndisable = ["dead-relu"]\n')
    assert settings.read(inner)["table"] == {"rules": {"disable": ["dead-relu"]}}
    (tmp_path / "a" / "nnwatch.toml").write_text("[targets]\n'accuracy.val' = 0.9\n")
    assert settings.read(inner) == {
        "path": str(tmp_path / "a" / "nnwatch.toml"),
        "table": {"targets": {"accuracy.val": 0.9}},
    }
    (inner / "pyproject.toml").write_text("[project]\nname = 'x'\n")  # says nothing of nnwatch
    assert settings.read(inner)["table"] == {"targets": {"accuracy.val": 0.9}}
    (inner / "pyproject.toml").write_text("not toml")
    assert settings.read(inner)["table"] == {"targets": {"accuracy.val": 0.9}}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[rules", "is not TOML"),
        ("[rules]\ndisable = ['lr']", "no rule is called 'lr'"),
        ("colour = 3", "no setting is called colour"),
    ],
)
def test_a_wrong_file_is_one_line_and_exit_code_2(home, text, said):
    (home.folder / "nnwatch.toml").write_text(text)
    with pytest.raises(RunError, match=said):
        settings.read(home.folder)
    for words in (["run", "trainer.py", "5", "0", "close"], ["explain"]):
        done = home.nnwatch(*words)
        assert done.returncode == 2
        assert said in done.stderr
        assert str(home.folder / "nnwatch.toml") in done.stderr
        assert done.stderr.count("\n") == 1
    assert not home.cards()  # nothing was started


def test_a_rule_of_ones_own_judges_and_a_broken_one_is_left_out(home):
    home.script("mine.py", OWN)
    home.script("broken.py", "import nowhere_to_be_found")
    (home.folder / "nnwatch.toml").write_text(
        '[rules]\nown = ["mine.py", "broken.py", "absent.py"]\n[thresholds.under-the-line]\nline = 0.2\n'
    )
    done = home.nnwatch("run", "trainer.py", "60", "0", "close")
    assert done.returncode == 0
    seen = history(home.session())
    found = [finding for finding in seen.finding_log if finding.rule == "under-the-line"]
    assert found[0].first_step == 6  # the loss is 1/step: 0.1667 is the first under 0.2
    told = [event.data["text"] for event in seen.events if event.name == "notice"]
    assert any("own rule broken.py is left out: ModuleNotFoundError" in text for text in told)
    assert any("own rule absent.py is left out" in text for text in told)
    assert seen.facts[0, 0]["settings"]["thresholds"] == {"under-the-line": {"line": 0.2}}
    page = home.nnwatch("explain", "under-the-line")
    assert page.returncode == 0
    assert "line = 0.2" in page.stdout


def test_an_installed_package_may_bring_rules(tmp_path, monkeypatch):
    (tmp_path / "their_rules.py").write_text(OWN)
    info = tmp_path / "their_rules-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-rules\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{settings.GROUP}]\nline = their_rules:RULE\ngone = their_rules:NONE\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    rules, targets, complaints = settings.rules({})
    assert "under-the-line" in {rule.id for rule in rules}
    assert targets == {}
    assert complaints == [
        "own rule gone (their_rules:NONE) is left out: AttributeError: module 'their_rules' has no attribute 'NONE'"
    ]
