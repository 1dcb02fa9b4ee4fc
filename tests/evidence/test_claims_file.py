import json

import pytest

from study.evidence import claims_file, configurations
from tests.checkout import ROOT
from tests.errors import message_of
from tests.evidence.hand_made import PUBLISHED

TEXT = (ROOT / "claims.yaml").read_text("utf-8")
EXPERIMENTS = configurations.read((ROOT / "experiments.yaml").read_text("utf-8"))
FIRST = "model-3-drops"


def read(text: str) -> claims_file.ClaimsFile:
    return claims_file.read(text, PUBLISHED, EXPERIMENTS)


def complaint(text: str) -> str:
    return message_of(lambda: read(text))


def test_claims_are_in_the_order_of_the_write_up() -> None:
    start = TEXT.index(f"  {FIRST}:")
    end = TEXT.index("  model-2-better-than-model-1:")
    later = (TEXT[:start] + TEXT[end:]).replace("\n# Our own", TEXT[start:end] + "\n# Our own")
    assert later != TEXT
    assert list(read(later).claims) == [claim.id for claim in PUBLISHED.claims]


def test_target_is_checked_with_each_small_configuration_of_the_write_up() -> None:
    def parameters(model: str) -> int:
        metrics = (ROOT / f"metrics/models/{model}.json").read_text("utf-8")
        return int(json.loads(metrics)["parameters"])

    small = {
        each.id
        for each in EXPERIMENTS.configurations
        if not each.model.startswith("model_6")
        and each.recipe is None
        and parameters(each.model) < PUBLISHED.target.parameters
    }
    assert small == {each.of for each in read(TEXT).claims["target-not-reached"]}


def test_configurations_are_all_that_something_is_said_about() -> None:
    names = read(TEXT).configurations
    assert {"model-1", "model-4-pooled-first", "model-6-recipe-4"} <= {*names}
    assert "target" not in names
    assert names == sorted({*names})


def test_numbers_are_those_of_models_and_of_claims() -> None:
    numbers = [
        claims_file.published_number(each, PUBLISHED, EXPERIMENTS) for each in read(TEXT).numbers
    ]
    accuracies = [98.98, 99.29, 98.51, 99.02, 99.13, 99.06, 99.29]
    assert numbers == [*accuracies, 0.0293, 0.0226, 0.0310, 0.0262]


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        (f"{FIRST}:", "model-3:", ("model-3", FIRST)),
        (f"{FIRST}:", f"{FIRST}: []\n  x:", ("x", FIRST)),
        ("is: not_higher", "is: at most", ("is", "higher, lower", "at most")),
        ("of: model-3,", "of: model-9,", ("of", "experiments.yaml", "model-9")),
        ("than: model-1}", "than: model-9}", ("than", "experiments.yaml", "model-9")),
        ("than: model-1}", "than: model-2}", ("than", "model-2")),
        ("than: model-1}", "than: model-1, n: 1}", ("n", "metric, of, is, than")),
        (
            "best_accuracy, of: model-3, is: lower, than: model-2",
            "loss, of: model-3, is: lower, than: target",
            ("target", "loss"),
        ),
        ("metric: loss, of", "metric: speed, of", ("metric", "loss", "speed")),
        (
            "loss, of: model-2, is: lower",
            "loss, of: model-2, is: equivalent",
            ("is", "higher or lower", "loss", "equivalent"),
        ),
        ("{metric: accuracy, of: model-1}", "{metric: accuracy, of: model-9}", ("of", "model-9")),
        (
            "{metric: best_accuracy, of: model-3}",
            "{metric: loss, of: model-3}",
            ("metric", "write_up.yaml", "loss"),
        ),
        (
            "quoted_in: augmentation-helps}",
            "quoted_in: learning-rate-no-matter}",
            ("metric", "learning-rate-no-matter", "best_accuracy"),
        ),
        (
            "best_accuracy, of: model-4-rotated, quoted_in: augmentation-helps",
            "accuracy, of: model-4-rotated, quoted_in: model-2-better-than-model-1",
            ("metric", "model-2-better-than-model-1", "accuracy"),
        ),
        ("than: model-4}\n", "than: model-9}\n", ("than", "model-9")),
        ("  model-6-reaches-target: Model", "  model-9: Model", ("model-9", "questions")),
        ("notes:\n", "notes:\n  model-9: It is so.\n", ("model-9", "questions")),
    ],
)
def test_read_names_line_and_mistake(old: str, new: str, parts: tuple[str, ...]) -> None:
    assert old in TEXT
    line = TEXT[: TEXT.index(old)].count("\n") + new.count("\n") - old.count("\n") + 1
    message = complaint(TEXT.replace(old, new, 1))
    assert message.startswith(f"claims.yaml line {line}: ")
    assert all(part in message for part in parts), message


def test_read_names_a_question_with_the_id_of_a_claim() -> None:
    check = "{metric: loss, of: model-1, is: lower, than: model-2}"
    text = TEXT.replace("questions:", f"questions:\n  {FIRST}: [{check}]", 1)
    line = text[: text.index(f"  {FIRST}: [")].count("\n") + 1
    assert complaint(text).startswith(f"claims.yaml line {line}: {FIRST} must")


def test_descriptions_are_those_of_configurations_and_of_the_target() -> None:
    descriptions = claims_file.descriptions(EXPERIMENTS)
    assert descriptions["model-4-dropout-15"] == "Model 4 (15% dropout)"
    assert descriptions.keys() - EXPERIMENTS.descriptions.keys() == {"target"}


def test_read_names_a_claim_without_a_title() -> None:
    line = TEXT[: TEXT.index("  model-6-reaches-target:")].count("\n") + 1
    message = complaint(TEXT.replace("  model-6-reaches-target: Model 6 reaches the target\n", ""))
    assert message.startswith(f"claims.yaml line {line}: model-6-reaches-target must have a title")


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ("of: model-4-pooled-first", "of: model-9", ("of", "experiments.yaml", "model-9")),
        ("of: model-4-pooled-first", "of: model-4", ("than", "model-4")),
        ("metric: accuracy, of: model-4-p", "metric: parameters, of: model-4-p", ("parameters",)),
    ],
)
def test_read_names_a_mistake_in_the_control(old: str, new: str, parts: tuple[str, ...]) -> None:
    head, _, control = TEXT.partition("control:")
    assert old in control
    message = complaint(f"{head}control:{control.replace(old, new)}")
    line = head.count("\n") + 1
    assert message.startswith(f"claims.yaml line {line}: ")
    assert all(part in message for part in parts), message


def test_read_names_a_configuration_with_one_seed() -> None:
    one = [
        each.model_copy(update={"seeds": (4,)}) if each.id == "model-3" else each
        for each in EXPERIMENTS.configurations
    ]
    experiments = EXPERIMENTS.model_copy(update={"configurations": tuple(one)})
    message = message_of(lambda: claims_file.read(TEXT, PUBLISHED, experiments))
    assert "model-3 must have at least two seeds" in message


def test_read_names_a_claim_without_checks() -> None:
    head, _, rest = TEXT.partition(f"  {FIRST}:")
    without = head + rest.partition("\n")[2].partition("\n")[2]
    for text in (without, f"{head}  {FIRST}: []\n" + without.removeprefix(head)):
        assert FIRST in complaint(text)
