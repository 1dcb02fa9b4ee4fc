"""The torchsummary table of a network, as text."""

import contextlib
import copy
import io

import torch
import torchsummary
from torch import nn


def table(network: nn.Sequential, image: tuple[int, int, int]) -> str:
    """Return what torchsummary prints for `network` on images [channels, height, width].

    From the header to the line of non-trainable parameters: the sizes in megabytes that follow are
    estimates and not among the documents' rows. Nor is a closing Flatten, which only reshapes.
    The network and torch's random state are left as they were.
    """
    # torchsummary runs the network on random images: in training mode, batch normalisation would
    # take its running statistics from them.
    layers = list(copy.deepcopy(network).eval())
    if isinstance(layers[-1], nn.Flatten):
        layers.pop()
    printed = io.StringIO()
    with torch.random.fork_rng(devices=[]), contextlib.redirect_stdout(printed):
        torchsummary.summary(nn.Sequential(*layers), image, device="cpu")
    lines = printed.getvalue().splitlines()
    last = next(i for i, line in enumerate(lines) if line.startswith("Non-trainable params"))
    return "\n".join(lines[1 : last + 1]) + "\n"
