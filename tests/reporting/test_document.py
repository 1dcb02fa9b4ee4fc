import re
from dataclasses import replace

from study.evaluation.metrics import Metrics
from study.evidence.statistics import Mean
from study.reporting import document
from tests.evidence.hand_made import PUBLISHED
from tests.reporting.report_inputs import (
    EVIDENCE,
    METRICS,
    NO_RUNS,
    VERDICTS,
    stats,
    study_of,
)

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
    assert REPORT.endswith("\n")
    assert not REPORT.endswith("\n\n")


def test_models_have_a_row_each_in_order() -> None:
    table = section(REPORT, "## Models")
    assert row_of(table.partition("###")[0], "Model 1") == [
        "Model 1", "14,620", "15", "99.04 ± 0.05", "5", "98.98",
    ]  # fmt: skip
    # The write-up has only the best epoch of this one.
    assert row_of(table.partition("###")[0], "Model 3")[2:] == ["2", "–", "–", "98.51 (best epoch)"]
    assert row_of(table.partition("###")[0], "Resnet tiny")[3:] == ["99.54 ± 0.05", "5", "–"]
    names = [row[0] for row in cells(table.partition("###")[0])]
    assert names == ["Model", "Model 1", "Model 3", "Resnet tiny"]


def test_questions_without_a_configuration_for_the_target_have_a_section() -> None:
    text = document.render(STUDY, replace(EVIDENCE, final=None), PUBLISHED)
    assert "### Title of ours: SUPPORTED" in section(text, "## Our own questions")
    assert "### " not in section(text, "## Target")


def test_cells_are_at_most_a_line_long() -> None:
    assert max(len(cell) for row in cells(REPORT) for cell in row) <= 75


def test_numbers_of_the_write_up_are_next_to_our_interval() -> None:
    text = section(REPORT, "### Do the write-up's numbers reproduce?")
    assert row_of(text, "accuracy of Model 1")[1:] == ["98.98", "99.040", "98.900 to 99.200", "yes"]
    assert "prediction interval" not in document.render(STUDY, NO_RUNS, PUBLISHED)


def test_one_run_is_next_to_the_write_up() -> None:
    accuracy, _, loss = section(REPORT, "## One run of each model").partition("| Model | Loss")
    assert row_of(accuracy, "Model 1")[1:] == ["98.95", "98.98", "−0.03", "98.97", "98.98"]
    assert row_of(accuracy, "Model 3")[1:] == ["98.41", "–", "–", "98.65", "98.51"]
    assert row_of(loss, "Model 1")[1:] == ["0.0293", "0.0293", "+0.0000"]
    assert row_of(loss, "Resnet tiny")[1:] == ["0.0200", "–", "–"]


def test_claims_have_a_block_each_with_verdict_quote_and_checks() -> None:
    block = section(REPORT, "### Title of model-2-better-than-model-1: INCONCLUSIVE")
    assert "> Words of model-2-better-than-model-1.\n\nNote on model-2-" in block
    _, accuracy, loss, count = cells(block)
    assert accuracy == [
        "Accuracy: Model 2 > Model 1", "99.26, 99.04", "+0.220 (+0.030 to +0.410)",
        "0.0300 × 2 = 0.0600", "0.88", "inconclusive",
    ]  # fmt: skip
    assert loss[1] == "99.2600, 99.0400"
    assert count[1:] == ["14,796, 14,620", "+176", "count", "–", "supported"]
    (known,) = re.findall("(?m)^- (.*)$", block)
    assert all(part in known for part in ("Model 2 − Model 1", "+0.030", "+0.410", "5 seeds"))
    supported = section(REPORT, "### Title of target-not-reached: SUPPORTED")
    assert "target" in cells(supported)[1][0]
    assert not re.findall("(?m)^- (.*)$", supported)


def test_questions_have_blocks_without_a_quote() -> None:
    block = section(section(REPORT, "## Target"), "### Title of ours: SUPPORTED")
    assert ">" not in block.partition("|")[0]
    assert len(cells(block)) == 2


def test_control_shows_what_noise_looks_like() -> None:
    text = section(REPORT, "### Control: Model 4 | b and Model 4 | a compute the same function")
    assert all(part in text for part in ("−0.020", "−0.070 to +0.030", "p = 0.410", "0.45"))
    control = replace(VERDICTS.control, p=0.03) if VERDICTS.control else None
    alarm = replace(EVIDENCE, verdicts=replace(VERDICTS, control=control))
    assert "one study of 20" in document.render(STUDY, alarm, PUBLISHED)
    assert "one study of 20" not in REPORT


def test_verdicts_without_the_pilot_are_beside_the_others() -> None:
    assert "all verdicts are the same" in section(REPORT, "## Claims")
    changed = replace(VERDICTS.claims[1], without_pilot="inconclusive")
    verdicts = replace(VERDICTS, claims=(VERDICTS.claims[0], changed))
    text = document.render(STUDY, replace(EVIDENCE, verdicts=verdicts), PUBLISHED)
    assert "1 of 3 verdicts differs: “Title of target-not-reached” is inconclusive" in text


def test_target_has_mean_and_interval() -> None:
    text = " ".join(section(REPORT, "## Target").split())
    # The SD is √(0.0032 / 4) = 0.0283; t(4 degrees, 97.5%) is 2.776.
    for part in ("Resnet tiny", "7,999", "99.540%", "99.505 to 99.575", "99.50%", "99.58%"):
        assert part in text


def test_architecture_and_recipe_are_a_table_of_their_own() -> None:
    assert "Does the accuracy come from" not in REPORT
    names = ("model-2", "model-2-recipe-6", "model-4", "model-6", "model-6-recipe-4")
    configurations = [stats(name, 99 + number / 10) for number, name in enumerate(names)]
    text = document.render(STUDY, replace(EVIDENCE, configurations=configurations), PUBLISHED)
    table = section(text, "### Does the accuracy come from the architecture or the recipe?")
    assert cells(table)[1:] == [
        ["Model 2", "99.00 ± 0.05", "99.10 ± 0.05"],
        ["Model 6", "99.40 ± 0.05", "99.30 ± 0.05"],
    ]


def test_ablation_has_differences_to_its_first_row() -> None:
    text = section(REPORT, "### Ablation")
    assert row_of(text, "Resnet tiny")[1:] == ["3", "99.500 ± 0.100", "–", "0.0200", "–"]
    assert row_of(text, r"wider \| deeper (8,421 parameters)")[3].startswith("−0.200 (−0.210 to")
    assert row_of(text, "No decay")[5] == "+0.0000 (−0.0100 to +0.0100)"
    assert "Narrow" not in text


def test_single_run_has_no_sd() -> None:
    only = [replace(EVIDENCE.held_out[0], accuracy=Mean(1, 99.5, NAN)), *EVIDENCE.held_out[1:]]
    text = section(
        document.render(STUDY, replace(EVIDENCE, held_out=only), PUBLISHED), "### Ablation"
    )
    assert row_of(text, "Resnet tiny")[1:3] == ["1", "99.500"]


def test_closed_trials_have_a_table_of_their_own() -> None:
    text = section(REPORT, "### Trials")
    assert [row[0] for row in cells(text)[1:]] == ["Resnet tiny", "Narrow (3,762 parameters)"]
    assert "### Trials" not in document.render(STUDY, replace(EVIDENCE, closed=[]), PUBLISHED)


def test_every_drawing_is_shown() -> None:
    shown = re.findall(r"!\[.+?\]\(figures/(\w+)\.svg\)", REPORT)
    assert shown == ["models", "forest", "seeds", "confusion", "misses"]


def test_report_with_missing_runs_says_what_makes_them_and_judges_nothing() -> None:
    text = document.render(STUDY, NO_RUNS, PUBLISHED)
    assert "7 of 10 runs are missing" in text
    assert row_of(section(text, "## Claims"), "Model 2")[1:] == ["7"]
    (checked,) = cells(section(text, "### Title of it: MISSING RUNS"))[1:]
    assert checked[1:] == ["–", *["–"] * 3, "missing runs"]
    assert "forest" not in text
    assert "Control" not in text


def test_single_run_of_the_final_model_has_no_interval() -> None:
    single = stats("resnet-tiny", 99.54, 7999, n=1)
    text = section(document.render(STUDY, replace(EVIDENCE, final=single), PUBLISHED), "## Target")
    assert "CI" not in text.partition("###")[0]


def test_missing_metrics_are_dashes() -> None:
    text = document.render(study_of(METRICS | {"model_1": Metrics()}), EVIDENCE, PUBLISHED)
    one_run = section(text, "## One run of each model").partition("| Model | Loss")[0]
    assert row_of(one_run, "Model 1")[1:] == ["–", "98.98", "–", "–", "98.98"]


def test_validation_images_are_announced_first() -> None:
    held_out = {name: replace(each, validation_images=400) for name, each in METRICS.items()}
    text = document.render(study_of(held_out, correct=9_998), EVIDENCE, PUBLISHED)
    assert "400 validation images" in text.partition("##")[0]
    assert "2 of the 400 validation images" in text
    assert "validation" not in REPORT.partition("##")[0]
    assert "100 of the 10,000 test images" in REPORT
