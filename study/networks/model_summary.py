"""The torchsummary table of a network as text."""

import contextlib
import copy
import io

import torch
import torchsummary
from torch import nn


def table(network: nn.Sequential, image: tuple[int, int, int]) -> str:
    """Return the table that torchsummary prints for `network` on images [channels, height, width].

    As in the write-up, it ends with the number of non-trainable parameters, without the estimated
    sizes in megabytes, and has no row for a final Flatten, which only reshapes. The network and
    torch's random state are unchanged.
    """
    # torchsummary runs the network on random images: in training mode, batch normalization would
    # include them in its running statistics.
    layers = list(copy.deepcopy(network).eval())
    if isinstance(layers[-1], nn.Flatten):
        layers.pop()
    printed = io.StringIO()
    with torch.random.fork_rng(devices=[]), contextlib.redirect_stdout(printed):
        torchsummary.summary(nn.Sequential(*layers), image, device="cpu")
    lines = printed.getvalue().splitlines()
    last = next(i for i, line in enumerate(lines) if line.startswith("Non-trainable params"))
    return "\n".join(lines[1 : last + 1]) + "\n"
