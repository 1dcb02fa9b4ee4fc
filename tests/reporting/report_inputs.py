"""A study in small, made by hand: three models, one of them not in the write-up, and two claims."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

import models
from study.evaluation.metrics import Metrics
from study.evidence.aggregates import ConfigurationStats
from study.evidence.claims_file import Relation
from study.evidence.held_out import Change, HeldOutRow
from study.evidence.statistics import Mean
from study.evidence.verdicts import (
    CheckResult,
    Claim,
    ControlResult,
    NumberResult,
    Verdict,
    Verdicts,
)
from study.networks import model_summary, receptive_field
from study.reporting.tables import Evidence, Models
from study.training.history import Epoch
from tests.evidence.hand_made import PUBLISHED

IMAGE = (1, 28, 28)

METRICS = {
    "model_1": Metrics(98.95, 0.0293, 98.97, 98.8, 0.03, 14620),
    "model_3": Metrics(98.41, 0.0512, 98.65, 97.9, 0.05, 3928),
    "resnet_tiny": Metrics(99.41, 0.02, 99.41, 99.1, 0.01, 7999),
}


def training(accuracies: Sequence[float]) -> list[Epoch]:
    """The history of a training with these test accuracies."""
    return [Epoch(i, 0.1, 97.0, 0.1, 0.05, accuracy) for i, accuracy in enumerate(accuracies)]


def study_of(metrics: Mapping[str, Metrics], correct: int = 9_900) -> Models:
    """One run of each model; all of them classify the same images correctly."""
    networks = {
        name: models.build(name if name in PUBLISHED.models else "model_6", 0.1) for name in metrics
    }
    return Models(
        metrics=metrics,
        histories={name: training([98.0, 98.9]) for name in metrics},
        correct={name: np.arange(10_000) < correct for name in metrics},
        summaries={name: model_summary.table(each, IMAGE) for name, each in networks.items()},
        receptive_fields={
            name: receptive_field.table(each, IMAGE) for name, each in networks.items()
        },
    )


def stats(
    name: str,
    accuracy: float = 99.04,
    parameters: int = 14620,
    published: float | None = None,
    n: int = 5,
) -> ConfigurationStats:
    """A configuration that is a model as params.yaml has it, over `n` seeds."""
    several = n > 1
    return ConfigurationStats(
        configuration=name,
        model=name.replace("-", "_"),
        default=True,
        parameters=parameters,
        epochs=15,
        n=n,
        accuracy=accuracy,
        low=accuracy - 0.1 if several else None,
        high=accuracy + 0.1 if several else None,
        sd=0.05 if several else None,
        loss=0.03,
        best_accuracy=accuracy + 0.03,
        published=published,
        published_best=False,
        accuracies=(accuracy,) * n,
    )


def check(
    relation: Relation = "higher",
    than: str = "model-1",
    verdict: Verdict = "supported",
    metric: str = "accuracy",
    ran: bool = True,
) -> CheckResult:
    """A check of Model 2, with five seeds or not run."""
    if not ran:
        return CheckResult(metric, "model-2", relation, than)
    return CheckResult(
        metric=metric,
        of="model-2",
        relation=relation,
        than=than,
        n=5,
        a=99.26,
        b=99.04,
        difference=0.22,
        interval=(0.03, 0.41),
        p=0.03,
        factor=2,
        p_adjusted=0.06,
        p_superior=0.875,
        verdict=verdict,
    )


def count_check() -> CheckResult:
    """A check of Model 2's parameters."""
    return CheckResult(
        metric="parameters",
        of="model-2",
        relation="higher",
        than="model-1",
        n=5,
        a=14796.0,
        b=14620.0,
        difference=176.0,
        verdict="supported",
    )


def claim(name: str, verdict: Verdict, *checks: CheckResult) -> Claim:
    """A claim with these checks."""
    return Claim(
        id=name,
        checks=checks,
        verdict=verdict,
        title=f"Title of {name}",
        quote=f"Words of {name}.",
        note=f"Note on {name}.",
        p=0.03,
        p_adjusted=0.4,
        without_pilot=verdict,
    )


def number(metric: str, of: str, reproduced: bool = True) -> NumberResult:
    """A number of the write-up, within our interval or above it."""
    return NumberResult(metric, of, 98.98 if reproduced else 99.8, 99.04, (98.9, 99.2), reproduced)


def held_out(name: str, difference: float, parameters: int = 7999) -> HeldOutRow:
    """A configuration with this difference, ± 0.01, in accuracy on held-out images."""
    return HeldOutRow(
        configuration=name,
        parameters=parameters,
        validation_images=10_000,
        accuracy=Mean(3, 99.5 + difference, 0.1),
        loss=Mean(3, 0.02, 0.001),
        accuracy_difference=Change(difference, (difference - 0.01, difference + 0.01)),
        loss_difference=Change(0.0, (-0.01, 0.01)),
    )


NAMES = {
    "model-1": "Model 1",
    "model-2": "Model 2",
    "model-4-a": "Model 4 | a",
    "model-4-b": "Model 4 | b",
    "target": "target",
}
VERDICTS = Verdicts(
    runs=10,
    missing={},
    claims=(
        claim(
            "model-2-better-than-model-1",
            "inconclusive",
            check(verdict="inconclusive"),
            check("lower", metric="loss"),
            count_check(),
        ),
        claim("target-not-reached", "supported", check("lower", "target")),
    ),
    questions=(
        replace(claim("ours", "supported", check("higher", "target")), quote=None, note=None),
    ),
    numbers=(number("accuracy", "model-1"), number("loss", "model-1")),
    control=ControlResult(
        "accuracy", "model-4-b", "model-4-a", 99.0, 99.02, -0.02, (-0.07, 0.03), 0.41, 0.45
    ),
)
FINAL = replace(stats("resnet-tiny", 99.54, 7999), accuracies=(99.5, 99.54, 99.54, 99.54, 99.58))
EVIDENCE = Evidence(
    verdicts=VERDICTS,
    margin=0.1,
    configurations=[
        stats("model-1", published=98.98),
        stats("model-2", 99.2),
        stats("wider", 99.2),
        FINAL,
    ],
    descriptions=NAMES | {"wider": "wider | deeper"},
    final=FINAL,
    held_out=[
        held_out("resnet-tiny", 0),
        held_out("wider", -0.2, parameters=8421),
        held_out("no-decay", 0.005),
        held_out("narrow", -0.3, parameters=3762),
    ],
    closed=["narrow"],
)
NO_RUNS = Evidence(
    verdicts=Verdicts(
        runs=10,
        missing={"model-2": 7},
        claims=(
            Claim("it", (check("lower", "target", ran=False),), "missing runs", "Title of it"),
        ),
        questions=(),
    ),
    margin=0.1,
    configurations=[],
    descriptions=NAMES,
    final=None,
    held_out=[],
    closed=[],
)
