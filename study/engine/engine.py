"""A network in training on a CPU: its memory, and the passes of a step and of an evaluation."""

from typing import Protocol

import numpy as np
from torch import nn

from study.engine import direct, mean, pointwise, taps, winograd
from study.engine.epilogue import fold_norm, fold_norm_gradient
from study.engine.loss import cross_entropy, imitate
from study.engine.memory import Arrays, Bytes, Doubles, Floats, Labels, Memory
from study.engine.optimizer import descend, move
from study.engine.plan import (
    DEPTHWISE,
    FIRST,
    MEAN,
    POINTWISE,
    TAPS,
    WINOGRAD,
    layout,
    parameters,
    sections,
)
from study.engine.record import SIDE, Plan
from study.engine.rng import RngState, draw_mask, threshold


class Passes(Protocol):
    """The passes of one kind of section: a module of the engine.

    They take the memory, the sums in double precision, the batch's images uint8 [n * 784], the
    plan, the number of the section in it, and n. With `reverse`, they start from the last image.
    """

    def forward(
        self,
        m: Floats,
        d: Doubles,
        images: Bytes,
        plan: Plan,
        index: int,
        n: int,
        training: bool,
        reverse: bool,
    ) -> None:
        """Compute the section's output; in training, also what the backward pass needs."""

    def backward(
        self, m: Floats, d: Doubles, images: Bytes, plan: Plan, index: int, n: int, reverse: bool
    ) -> None:
        """Compute the gradients with respect to the section's weights and its input."""


PASSES: dict[str, Passes] = {
    FIRST: direct,
    DEPTHWISE: direct,
    WINOGRAD: winograd,
    POINTWISE: pointwise,
    TAPS: taps,
    MEAN: mean,
}
"""The passes of each kind of section."""


class Engine:
    """Trains a network by stochastic gradient descent, one batch at a time, and evaluates it.

    With `ema_decay` above 0, `logits` and `weights` use the exponential moving average (EMA) of
    weights and running statistics over the steps, instead of their values after the last step. The
    average starts from the network's first values and covers about 1 / (1 - ema_decay) steps.
    """

    def __init__(self, network: nn.Sequential, batch_size: int, ema_decay: float = 0.0) -> None:
        """Copy the network's weights. Raises UnsupportedError if the engine lacks a layer."""
        self.batch_size, self.ema_decay = batch_size, ema_decay
        self.sections = sections(network)
        self.parameters = parameters(self.sections)
        self.names = list(network.state_dict())
        memory = Memory()
        self.records, n_doubles = layout(self.sections, batch_size, memory)
        sizes = [int(np.prod(p.shape)) for p in self.parameters]
        starts = np.cumsum([0, *sizes])
        trained = sum(size for p, size in zip(self.parameters, sizes, strict=True) if p.trained)
        # Places of three vectors in which each parameter has the same index.
        values, gradient, velocity = (memory.floats(int(starts[-1])) for _ in range(3))
        self.records["to_gradient"] = gradient - values
        for p, start in zip(self.parameters, starts[:-1], strict=True):
            self.records[p.field][p.section] = values + start
        self.places = {
            p.name: (slice(int(start), int(start) + size), p.shape)
            for p, start, size in zip(self.parameters, starts[:-1], sizes, strict=True)
        }

        self.plan = self.records.view(np.int64)  # the type that kernels take
        self.memory, self.doubles = memory.array(), np.zeros(n_doubles)
        self.bytes = self.memory.view(np.uint8)
        self.values = self.memory[values : values + int(starts[-1])]
        self.trained = self.values[:trained]
        self.gradient = self.memory[gradient : gradient + trained]
        self.velocity = self.memory[velocity : velocity + trained]
        self.decayed = sum(
            size for p, size in zip(self.parameters, sizes, strict=True) if p.field == "weight"
        )
        self.average = self.values.copy() if ema_decay else self.values
        for p in self.parameters:
            if p.field == "gain" and not p.trained:
                self.values[self.places[p.name][0]] = 1
        self.batches_tracked = 0
        self.load({name: value.numpy() for name, value in network.state_dict().items()})

    def step(
        self,
        images: Bytes,
        labels: Labels,
        rng_state: RngState,
        learning_rate: float,
        momentum: float,
        weight_decay: float = 0.0,
        answers: Floats | None = None,
        temperature: float = 1.0,
    ) -> tuple[float, int]:
        """Train on images uint8 [n, 28, 28] and labels int64 [n], with n up to the batch size.

        With the logits `answers` [n, classes] of a teacher, imitate these instead of the labels.

        `rng_state` generates the dropout masks and is advanced. Returns the sum of the negative
        log-likelihoods, in nats, and the number of correct predictions, both before the step and
        with dropout. The sum is not finite if training diverges.
        """
        if len(labels) != len(images):
            raise ValueError(f"{len(images)} images need as many labels, got {len(labels)}")
        self.doubles[:] = 0
        logits, gradient = self.forward(images, rng_state), self.rows("g", len(labels))
        result = cross_entropy(logits, labels, self.classes, gradient)
        if answers is not None:
            imitate(logits, answers, self.classes, temperature, gradient)
        self.backward(images)
        descend(
            self.trained, self.gradient, self.velocity, self.decayed,
            np.float32(learning_rate), np.float32(momentum), np.float32(weight_decay),
        )  # fmt: skip
        self.batches_tracked += 1
        if self.ema_decay:
            move(self.average, self.values, np.float32(1 - self.ema_decay))
        return result

    def logits(self, images: Bytes) -> Floats:
        """Return the logits [n, classes] of images uint8 [n, 28, 28], in evaluation mode.

        The logits of an image do not depend on the other images or on the batch size.
        """
        latest = self.values.copy()
        self.values[:] = self.average  # where kernels read the weights
        logits = np.empty((len(images), self.classes), np.float32)
        try:
            for start in range(0, len(images), self.batch_size):
                part = images[start : start + self.batch_size]
                logits[start : start + len(part)] = self.forward(part)[:, : self.classes]
        finally:
            self.values[:] = latest
        return logits

    def forward(self, images: Bytes, rng_state: RngState | None = None) -> Floats:
        """Return the last z [n, padded classes]; in training mode if `rng_state` is given."""
        n, training = len(images), rng_state is not None
        if not 0 < n <= self.batch_size:
            raise ValueError(f"a batch has 1 to {self.batch_size} images, got {n}")
        flat = flattened(images)
        for index, section in enumerate(self.sections):
            if training and section.norm and n * section.size**2 == 1:
                raise ValueError("a norm in training needs more than one value per channel")
            if rng_state is not None and section.dropout:
                record = self.records[index]
                side = section.out if section.drop_last else section.size
                start = int(record["mask"])
                mask = self.bytes[start : start + n * side * side * int(record["channels"])]
                draw_mask(rng_state, threshold(section.dropout), mask)
            # Every second pass of a step starts from the last block of images, which may still be
            # in the cache. This decides in which order gradients are summed over the images.
            passes, reverse = PASSES[section.kind], index % 2 == 1
            passes.forward(self.memory, self.doubles, flat, self.plan, index, n, training, reverse)
            fold_norm(self.memory, self.doubles, self.plan, index, n, training)
        return self.rows("z", n)

    def backward(self, images: Bytes) -> None:
        """Compute all gradients, from the gradient with respect to the last z."""
        n, count, flat = len(images), len(self.sections), flattened(images)
        for index in reversed(range(count)):
            fold_norm_gradient(self.memory, self.doubles, self.plan, index, n)
            passes_before = count + (count - 1 - index)
            passes, reverse = PASSES[self.sections[index].kind], passes_before % 2 == 1
            passes.backward(self.memory, self.doubles, flat, self.plan, index, n, reverse)

    def rows(self, field: str, n: int) -> Floats:
        """Return a view of a field of the last section, with one row for each of n images."""
        start, channels = int(self.records[field][-1]), int(self.records["channels"][-1])
        return self.memory[start : start + n * channels].reshape(n, channels)

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self.sections[-1].channels

    def weights(self) -> Arrays:
        """Return copies of the trained weights: the average, or the latest if there is no EMA."""
        return self.named(self.average)

    def named(self, values: Floats) -> Arrays:
        """Return copies of the parts of a vector of all parameters, by name."""
        return {
            name: values[self.places[name][0]].reshape(self.places[name][1]).copy()
            if name in self.places
            else np.array(self.batches_tracked, np.int64)
            for name in self.names
        }

    def load(self, weights: Arrays) -> None:
        """Continue from these weights, with a velocity of 0; the average starts from them, too."""
        for name in self.names:
            if name in self.places:
                self.values[self.places[name][0]] = weights[name].ravel()
            else:
                self.batches_tracked = int(weights[name])
        self.velocity[:] = 0
        self.average[:] = self.values

    def state(self) -> Arrays:
        """Return copies of everything that later steps depend on."""
        return {
            "values": self.values.copy(),
            "velocity": self.velocity.copy(),
            "average": self.average.copy(),
            "batches_tracked": np.array(self.batches_tracked, np.int64),
        }

    def load_state(self, state: Arrays) -> None:
        """Continue from the result of `state`, with the bytes of an uninterrupted training."""
        self.average[:] = state["average"]
        self.values[:], self.velocity[:] = state["values"], state["velocity"]
        self.batches_tracked = int(state["batches_tracked"])


def flattened(images: Bytes) -> Bytes:
    """Return images uint8 [n, 28, 28] as one row of pixels. Raises ValueError for anything else."""
    if images.dtype != np.uint8 or images.shape[1:] != (SIDE, SIDE):
        got = f"{images.dtype} {list(images.shape)}"
        raise ValueError(f"images must be uint8 [n, {SIDE}, {SIDE}], got {got}")
    return np.ascontiguousarray(images).reshape(-1)
