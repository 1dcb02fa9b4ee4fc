"""Progress of a training, logged in the format of the write-up."""

import logging
from pathlib import Path

from llvmlite.binding import get_host_cpu_features

from study.evaluation.evaluator import Evaluation
from study.training.trainer import TrainStats

FORMAT = "%(asctime)s | %(levelname)s | %(message)s"


class Log:
    """A log of one training: in a file, and on the console after the model's name."""

    def __init__(self, model: str, path: Path, evaluated_on: str, resumed: bool) -> None:
        """Open the file; `resumed` appends to it. `evaluated_on` names the images: Test set."""
        logging.raiseExceptions = False  # a full disk is reported when results are written
        path.parent.mkdir(exist_ok=True)
        self.evaluated_on = evaluated_on
        self.log = logging.getLogger(model)
        self.log.setLevel(logging.INFO)
        for handler, form in (
            (logging.FileHandler(path, "a" if resumed else "w", encoding="utf-8"), FORMAT),
            (logging.StreamHandler(), f"{model} | {FORMAT}"),
        ):
            handler.setFormatter(logging.Formatter(form, "%Y-%m-%d %H:%M:%S"))
            self.log.addHandler(handler)
        # x86-64 processors have fused multiply-add instructions together with AVX2, nearly all
        # since 2013. Without them, libm computes the same in software, many times slower.
        if not get_host_cpu_features().get("fma", True):
            self.note("No FMA instructions on this processor: slow, with the same results")

    def note(self, message: str) -> None:
        """Write a message."""
        self.log.info(message)

    def begin(self, epoch: int) -> None:
        """Report the start of an epoch, counted from 0."""
        self.log.info("EPOCH: %d", epoch)

    def end(self, trained: TrainStats, tested: Evaluation) -> None:
        """Report an epoch's training and the test after it."""
        self.log.info(
            "Loss=%.15f Batch_id=%d Accuracy=%.2f",
            trained.last_batch_loss, trained.last_batch, trained.accuracy,
        )  # fmt: skip
        self.log.info(
            "%s: Average loss: %.4f, Accuracy: %d/%d (%.2f%%)",
            self.evaluated_on, tested.loss, tested.correct, len(tested.predictions),
            tested.accuracy,
        )  # fmt: skip
