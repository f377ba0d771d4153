"""`nnwatch check` on a faulty script: what it prints, writes and returns."""

import json

from .trying import PLAIN, check

LOADER = "DataLoader(TensorDataset(x, y), 32, shuffle=True)"
LEAK = (
    PLAIN.replace("EPOCHS", "2")
    .replace(LOADER, "loader")
    .replace("model =", f"loader, val_loader = {LOADER}, DataLoader(TensorDataset(x[:100], y[:100]), 50)\nmodel =")
)


def test_an_error_is_exit_code_three_with_json_and_a_page(home):
    page = home.folder / "page.html"
    found = check(home, LEAK, "--only", "data,model", "--json", "--html", str(page))
    assert found.done.returncode == 3, found.done.stderr
    told = json.loads(found.done.stdout)
    assert told["first"] == "leak"
    leak = next(row for row in told["checks"] if row["check"] == "leak")
    assert leak["state"] == "error"
    assert leak["what"].startswith("100 of 100 validation rows (100 %) are training rows")
    assert "100 shared rows → none" in leak["change"]
    assert "Change first (leak)" in page.read_text()
    primary = next(finding for finding in found.history.findings.values() if finding.primary)
    assert primary.rule == "leak"
    again = home.nnwatch("check", "--html", str(page), "train.py")
    assert again.returncode == 2
    assert "exists already and is not overwritten" in again.stderr


def test_explain_knows_checks_beside_rules_and_metrics(home):
    said = home.nnwatch("explain", "overfit-batch").stdout
    assert "16 samples learned by heart (check of overfit)" in said
    both = home.nnwatch("explain", "padding-in-loss").stdout
    assert "padding is counted in the loss (statistical)" in both
    assert "padding left out of the loss (check of skeleton and baselines)" in both
    assert "overfit-batch" in home.nnwatch("explain").stdout
