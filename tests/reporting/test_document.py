import re
from dataclasses import replace
from pathlib import Path

import pytest

from study.base.errors import UserError
from study.reporting import document
from study.reporting.tables import Metrics
from tests.reporting.report_inputs import EVIDENCE, METRICS, NO_RUNS, PUBLISHED, study_of

NAN = float("nan")
STUDY = study_of(METRICS)
REPORT = document.render(STUDY, EVIDENCE, PUBLISHED)


def section(text: str, heading: str) -> str:
    """What is below a heading, up to the next one of its level or above."""
    level = heading.partition(" ")[0]
    body = text.partition(f"\n{heading}\n")[2]
    assert body, heading
    return re.split(rf"^#{{1,{len(level)}}} ", body, maxsplit=1, flags=re.MULTILINE)[0]


def cells(text: str) -> list[list[str]]:
    """The cells of the rows of all Markdown tables in a text, without the rules."""
    rows = [line for line in text.splitlines() if line.startswith("|")]
    split = [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows]
    return [row for row in split if not row[0].startswith("---")]


def row_of(text: str, first: str) -> list[str]:
    """The row of a table that begins with a cell."""
    (row,) = [row for row in cells(text) if row[0] == first]
    return row


def test_tables_are_rectangular_and_narrow() -> None:
    tables = re.findall(r"(?:^\|.*\n)+", REPORT, re.MULTILINE)
    assert len(tables) > 8
    for table in tables:
        lines = [re.findall(r"(?<!\\)\|", line) for line in table.splitlines()]
        (columns,) = {len(bars) - 1 for bars in lines}
        assert columns <= (8 if "j_in" in table else 6)


def test_no_blank_line_is_doubled() -> None:
    assert "\n\n\n" not in REPORT
    assert "\n\n\n" not in document.render(STUDY, NO_RUNS, PUBLISHED)
    assert REPORT.endswith("```\n")


def test_models_have_a_row_each_in_order() -> None:
    table = section(REPORT, "## Models")
    assert row_of(table.partition("###")[0], "Model 1") == [
        "Model 1", "14,620", "2", "99.04 ± 0.05", "5", "98.98",
    ]  # fmt: skip
    # The write-up has only the best epoch of this one.
    assert row_of(table.partition("###")[0], "Model 3")[3:] == ["–", "–", "98.51 (best epoch)"]
    assert row_of(table.partition("###")[0], "Resnet tiny")[1:] == ["7,999", "2", "–", "–", "–"]
    names = [row[0] for row in cells(table)]
    assert names == 3 * ["Model", "Model 1", "Model 3", "Resnet tiny"]


def test_one_run_is_next_to_the_write_up() -> None:
    accuracy, _, loss = section(REPORT, "### One run of each model").partition("| Model | Loss")
    assert row_of(accuracy, "Model 1")[1:] == ["98.95", "98.98", "−0.03", "98.97", "98.98"]
    assert row_of(accuracy, "Model 3")[1:] == ["98.41", "–", "–", "98.65", "98.51"]
    assert row_of(loss, "Model 1")[1:] == ["0.0293", "0.0293", "+0.0000"]
    assert row_of(loss, "Resnet tiny")[1:] == ["0.0200", "–", "–"]


def test_claims_have_a_block_each_with_verdict_quote_and_checks() -> None:
    first, second = re.findall(r"^### (.*: (?:supported|inconclusive))$", REPORT, re.MULTILINE)
    assert first.startswith("Model 2 better than Model 1")
    block = section(REPORT, f"### {first}")
    assert "> Words of model-2-better-than-model-1." in block
    assert "`model-2-better-than-model-1`" in block
    assert "p = 0.400" in block
    header, accuracy, loss = cells(block)
    assert len(header) == 6
    assert accuracy[1:] == ["99.26 [99.29]", "99.04", "+0.220 (+0.030 to +0.410)", "5", "supported"]
    assert loss[1] == "99.2600 [99.2900]"
    assert "target" in cells(section(REPORT, f"### {second}"))[1][0]


def test_target_has_mean_interval_and_p() -> None:
    text = " ".join(section(REPORT, "## Target").split())
    for part in ("Resnet tiny", "7,999", "99.540%", "99.500 to 99.580", "99.50%", "99.58%"):
        assert part in text
    assert "p < 0.001" in text
    assert "> Words of target-not-reached." in text


def test_ablation_has_differences_to_its_first_row() -> None:
    text = section(REPORT, "### Ablation")
    assert row_of(text, "Resnet tiny")[1:] == ["3", "99.500", "–", "0.0200", "–"]
    assert row_of(text, r"wider \| deeper (8,421 parameters)")[3].startswith("−0.200 (−0.210 to")
    assert row_of(text, "No decay")[5] == "+0.0000 (−0.0100 to +0.0100)"


def test_every_drawing_is_shown() -> None:
    shown = re.findall(r"!\[.+?\]\(figures/(\w+)\.svg\)", REPORT)
    assert shown == ["forest", "accuracy", "seeds", "curves", "confusion", "misses"]


def test_report_without_runs_says_what_makes_them() -> None:
    text = document.render(STUDY, NO_RUNS, PUBLISHED)
    assert text.count("`make experiments`") == 2
    (checked,) = cells(section(text, "### Target not reached: inconclusive"))[1:]
    assert checked[1:5] == ["– [99.29]", "–", "–", "0"]


def test_single_run_of_the_final_model_has_no_interval() -> None:
    assert EVIDENCE.final
    single = replace(EVIDENCE.final, accuracy=replace(EVIDENCE.final.accuracy, n=1, interval=None))
    text = section(document.render(STUDY, replace(EVIDENCE, final=single), PUBLISHED), "## Target")
    assert "CI" not in text.partition("###")[0]


@pytest.mark.parametrize("missing", [Metrics(), Metrics(accuracy=NAN, loss=NAN, best_accuracy=NAN)])
def test_missing_metrics_are_dashes(missing: Metrics) -> None:
    text = document.render(study_of(METRICS | {"model_1": missing}), EVIDENCE, PUBLISHED)
    one_run = section(text, "### One run of each model").partition("| Model | Loss")[0]
    assert row_of(one_run, "Model 1")[1:] == ["–", "98.98", "–", "–", "98.98"]


def test_validation_images_are_announced_first() -> None:
    held_out = {name: replace(each, validation_images=400) for name, each in METRICS.items()}
    text = document.render(study_of(held_out, correct=9_998), EVIDENCE, PUBLISHED)
    assert "400 validation images" in text.partition("##")[0]
    assert "2 of the 400 validation images" in text
    assert "validation" not in REPORT.partition("##")[0]
    assert "100 of the 10,000 test images" in REPORT


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{{ absent.key }}", ["absent"]),
        ("{{ models | wrong }}", ["wrong"]),
        ("{% for each in models %}", ["endfor"]),
    ],
)
def test_mistake_in_the_template_is_one_line(tmp_path: Path, line: str, words: list[str]) -> None:
    template = tmp_path / "report.md.j2"
    template.write_text(f"# Results\n\n{line}\n", encoding="utf-8")
    with pytest.raises(UserError) as error:
        document.render(STUDY, EVIDENCE, PUBLISHED, template)
    message = str(error.value)
    assert "\n" not in message
    for word in [*words, "report.md.j2 line 3"]:
        assert word in message
