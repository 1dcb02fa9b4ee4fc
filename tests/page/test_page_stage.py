import re
import shutil
from hashlib import sha256
from pathlib import Path

import pytest
import yaml

import models
from stages import page, paths
from study.evidence import run_table, verdicts
from study.evidence.verdicts import CheckResult, Claim, Verdicts
from tests.evidence.hand_made import rows
from tests.page.page_study import PageStudy

MEGABYTE = 1_000_000


@pytest.fixture
def copy(study: PageStudy, tmp_path: Path) -> PageStudy:
    """A copy of the study, to change."""
    folder = tmp_path / "copy"
    shutil.copytree(study.folder, folder, symlinks=True)
    return PageStudy(folder, study.networks, study.images, study.labels)


def test_page_has_the_same_bytes_again(copy: PageStudy) -> None:
    before = copy.page.read_bytes()
    copy.page.unlink()
    copy.run(page.main)
    assert copy.page.read_bytes() == before


def test_page_is_one_small_file(study: PageStudy) -> None:
    text = study.page.read_text("utf-8")
    assert len(text.encode()) < 2 * MEGABYTE
    assert re.findall(r'\b(?:src|srcset|href)="(?!#)', text) == []
    assert re.findall(r"\bon[a-z]+=|\bstyle=", text.partition("<script")[0]) == []


def test_page_names_the_weights_by_their_checksums(study: PageStudy) -> None:
    text = study.page.read_text("utf-8")
    for name in study.networks:
        weights = (study.folder / paths.weights(name)).read_bytes()
        assert sha256(weights).hexdigest() in text


def test_added_model_appears(copy: PageStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    (first, *_) = copy.networks
    monkeypatch.setattr("models.names", lambda: [*copy.networks, "model_7"])
    monkeypatch.setattr("models.build", lambda name, dropout: copy.networks[first])
    params = yaml.safe_load((copy.folder / paths.PARAMS).read_text("utf-8"))
    params["models"] = {first: {}, "model_7": {}} | params["models"]
    (copy.folder / paths.PARAMS).write_text(yaml.safe_dump(params, sort_keys=False))
    for path in (paths.weights, paths.predictions, paths.metrics, paths.history, paths.recipe):
        shutil.copy(copy.folder / path(first), copy.folder / path("model_7"))
    # Only these two are built here.
    monkeypatch.setattr("study.evaluation.trained_network.load", lambda *_: copy.networks[first])
    copy.run(page.main)
    text = copy.page.read_text("utf-8")
    assert '"name":"model_7"' in text
    assert '<th scope="row" data-value="2">Model 7</th>' in text


def test_page_with_runs_has_a_row_per_configuration(copy: PageStudy) -> None:
    # One is in experiments.yaml no more, and one was not on the test set.
    runs = rows("model-4", [99.0, 99.1]) + rows("model-4-rotated", [98.7]) + rows("tried", [98.9])
    runs += rows("model-6-val", [98.8], values={"validation_images": 10_000})
    (copy.folder / paths.RUNS).write_text(run_table.to_csv(runs), encoding="utf-8")
    copy.run(page.main)
    text = copy.page.read_text("utf-8")
    assert text.count('<div class="strip-name">Model') == 2
    assert "98.80%" not in text
    assert '<div class="strip-name">Tried' in text
    assert re.search('aria-label="Model 4: 99.05%, 95% CI 98.41 to 99.69"', text)
    assert ">99.05 ± 0.07</td>" in text
    assert "Model 4 (rotation)" in text
    assert "<code>5f3a</code>" in text
    assert '"runs":2,"points":[[99.03,99.08,99.13],[99.0,99.05,99.1]]' in text


def test_page_shows_the_verdicts_with_their_intervals(copy: PageStudy) -> None:
    check = CheckResult(
        *("accuracy", "model-4-rotated", "higher", "model-1", 30, 99.2, 99.0, 0.2),
        *((0.1, 0.3), 0.001, 2, 0.002, 0.9, "supported"),
    )
    quoted = "2 > 1, <b>they</b> say"
    claims = (
        Claim("better", (check,), "supported", "It is <b>better</b>", quoted, p_adjusted=0.002),
        Claim("worse", (check,), "contradicted", "It is worse", quoted, p_adjusted=0.003),
    )
    questions = (Claim("ours", (check,), "inconclusive", "Is <it> so?", p_adjusted=0.4),)
    judged = Verdicts(60, {}, claims, questions)
    (copy.folder / paths.VERDICTS).write_text(verdicts.to_json(judged), encoding="utf-8")
    copy.run(page.main)
    text = copy.page.read_text("utf-8")
    assert "<q>2 &gt; 1, &lt;b&gt;they&lt;/b&gt; say</q>" in text
    assert "+0.2000 (+0.1000 to +0.3000) points" in text
    assert "Model 4 (rotation) &gt; Model 1" in text
    assert '<span class="claim-title">It is &lt;b&gt;better&lt;/b&gt;</span>' in text
    assert '<span class="claim-title">Is &lt;it&gt; so?</span>' in text
    assert text.count('<details class="claim">') == 3
    # A p-value has a direction.
    assert re.findall("Evidence (for|against) .*: p = (0.00.)", text) == [
        ("for", "0.002"),
        ("against", "0.003"),
    ]
    assert "0.400" not in text


def test_page_with_missing_runs_judges_nothing(copy: PageStudy) -> None:
    check = CheckResult("accuracy", "model-4-rotated", "higher", "model-1")
    claims = (Claim("better", (check,), verdicts.MISSING, quote="2 > 1"),)
    judged = Verdicts(60, {"model-2": 3}, claims, ())
    (copy.folder / paths.VERDICTS).write_text(verdicts.to_json(judged), encoding="utf-8")
    copy.run(page.main)
    body = copy.page.read_text("utf-8").partition("<body")[2].partition("<script")[0]
    assert "<q>2 &gt; 1</q>" in body
    assert '<p class="check">Accuracy: Model 4 (rotation) &gt; Model 1</p>' in body
    assert "badge" not in body


def test_page_without_runs_and_metrics_is_written(copy: PageStudy) -> None:
    (copy.folder / paths.RUNS).write_text(run_table.to_csv([]), encoding="utf-8")
    for name in models.names():
        (copy.folder / paths.metrics(name)).write_text("{}", encoding="utf-8")
    copy.run(page.main)
    assert "Every configuration" not in copy.page.read_text("utf-8")
