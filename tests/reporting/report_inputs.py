"""A study in small, made by hand: three models, one of them not in the write-up, and two claims."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

import models
from study.evidence import write_up
from study.evidence.aggregates import ConfigurationStats
from study.evidence.statistics import MeanCI
from study.evidence.target import AblationRow, FinalModel
from study.evidence.verdicts import CheckResult, Claim, Verdict
from study.networks import model_summary, receptive_field
from study.reporting.tables import Evidence, Metrics, Models
from study.training.history import Epoch

ROOT = Path(__file__).parents[2]
PUBLISHED = write_up.read(ROOT / "reference" / "write_up.yaml", ROOT / "reference" / "epochs.csv")
IMAGE = (1, 28, 28)

METRICS = {
    "model_1": Metrics(98.95, 0.0293, 98.97, 98.8, 0.03, 14620),
    "model_3": Metrics(98.41, 0.0512, 98.65, 97.9, 0.05, 3928),
    "resnet_tiny": Metrics(99.41, 0.02, 99.41, 99.1, 0.01, 7999),
}


def training(accuracies: Sequence[float], loss: float = 0.05) -> list[Epoch]:
    """The history of a training with these test accuracies."""
    return [Epoch(i, 0.1, 97.0, 0.1, loss, accuracy) for i, accuracy in enumerate(accuracies)]


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
        n=n,
        accuracy=accuracy,
        low=accuracy - 0.1 if several else None,
        high=accuracy + 0.1 if several else None,
        sd=0.05 if several else None,
        loss=0.03,
        best_accuracy=accuracy + 0.03,
        gain=0.03,
        gain_low=None,
        gain_high=None,
        last_epochs_std=0.1,
        published=published,
    )


def check(
    relation: str = "higher",
    than: str = "model-1",
    verdict: Verdict = "supported",
    metric: str = "accuracy",
    ran: bool = True,
) -> CheckResult:
    """A check of Model 2, with five seeds or not run."""
    return CheckResult(
        metric=metric,
        of="model-2",
        relation=relation,
        than=than,
        seeds=(1, 2, 3, 4, 5) if ran else (),
        value=99.26 if ran else None,
        baseline=99.04 if ran else None,
        difference=0.22 if ran else None,
        interval=(0.03, 0.41) if ran else None,
        published=(99.29, None),
        p_for=0.03,
        p_against=1.0,
        verdict=verdict,
    )


def claim(name: str, verdict: Verdict, *checks: CheckResult) -> Claim:
    """A claim with these checks."""
    return Claim(name, f"Words of {name}.", checks, p=0.03, p_holm=0.4, verdict=verdict)


def ablation(name: str, difference: float, parameters: int = 7999) -> AblationRow:
    """A row of the ablation with this difference, ± 0.01, in accuracy and none in loss."""
    return AblationRow(
        configuration=name,
        parameters=parameters,
        validation_images=10_000,
        accuracy=MeanCI(3, 99.5 + difference, 0.1, (99.4, 99.6)),
        loss=MeanCI(3, 0.02, 0.001, (0.019, 0.021)),
        accuracy_difference=MeanCI(3, difference, 0.01, (difference - 0.01, difference + 0.01)),
        loss_difference=MeanCI(3, 0.0, 0.01, (-0.01, 0.01)),
    )


EVIDENCE = Evidence(
    claims=[
        claim(
            "model-2-better-than-model-1", "inconclusive", check(), check("lower", metric="loss")
        ),
        claim("target-not-reached", "supported", check("lower", "target")),
    ],
    margin=0.1,
    configurations=[stats("model-1", published=98.98), stats("wider", 99.2)],
    descriptions={"model-1": "Model 1", "wider": "wider | deeper"},
    final=FinalModel("resnet-tiny", 7999, MeanCI(5, 99.54, 0.03, (99.5, 99.58)), 99.5, 99.58, 2e-4),
    ablation=[
        ablation("resnet-tiny", 0),
        ablation("wider", -0.2, parameters=8421),
        ablation("no-decay", 0.005),
    ],
)
NO_RUNS = Evidence(
    claims=[claim("target-not-reached", "inconclusive", check("lower", "target", ran=False))],
    margin=0.1,
    configurations=[],
    descriptions={},
    final=None,
    ablation=[],
)
