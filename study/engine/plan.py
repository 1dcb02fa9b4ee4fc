"""The plan of a network: the sections of a training step, each one pass over memory.

`sections` divides a flat nn.Sequential into sections: a convolution or average pooling, and the
layers between it and the next one. `layout` returns them as a table that kernels read, with shapes
and places in memory.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from study.engine.memory import Memory
from study.engine.record import RECORD, SIDE

Records = NDArray[Any]
"""One record per section, of type RECORD."""

FIRST, POINTWISE, WINOGRAD, DEPTHWISE, TAPS, MEAN = (
    "first", "pointwise", "winograd", "depthwise", "taps", "mean",
)  # fmt: skip
"""Kinds of sections."""


@dataclass
class Section:
    """A convolution or average pooling, and the element-wise and max-pooling layers after it."""

    name: str
    """Name of the convolution in the network's state_dict."""
    linear: nn.Conv2d | nn.AvgPool2d | None
    """None is a copy: it starts a section for layers that did not fit into the one before."""
    size_in: int
    """Height and width of its input, in pixels."""
    channels_in: int
    """Not padded, unlike the field of a kernel's record."""
    size: int
    """Height and width of the convolution's output, before max pooling, in pixels."""
    channels: int
    """Not padded, unlike the field of a kernel's record."""
    first: bool = False
    """True if its input is the image."""
    relu: bool = False
    """True if a ReLU comes before the norm, or if one comes and there is no norm."""
    norm: nn.BatchNorm2d | None = None
    norm_name: str = ""
    rectified: bool = False
    """True if a ReLU follows the norm."""
    dropout: float = 0.0
    drop_last: bool = False
    """True if dropout follows max pooling."""
    pooled: bool = False

    @property
    def out(self) -> int:
        """Height and width of the next section's input, in pixels."""
        return self.size // 2 if self.pooled else self.size

    @property
    def plain(self) -> bool:
        """True if no layer follows the convolution."""
        return not (self.relu or self.norm or self.rectified or self.dropout or self.pooled)

    @property
    def kind(self) -> str:
        """Kind of its passes: the first one in the table of docs/engine.md that applies."""
        if not isinstance(self.linear, nn.Conv2d):
            return MEAN
        if self.linear.groups > 1:
            return DEPTHWISE
        kernel, framed = self.linear.kernel_size[0], padding(self.linear) > 0
        if not framed and (kernel == self.size_in or (kernel == 1 and not self.first)):
            return POINTWISE
        if kernel == 3:
            return FIRST if self.first else WINOGRAD
        return TAPS


class UnsupportedError(Exception):
    """The engine does not support a network; the message is the reason."""


def unsupported_reason(network: nn.Module) -> str | None:
    """Return the reason why the engine does not support a network, or None if it does.

    It depends on the network's layers only, not on the machine.
    """
    try:
        sections(network)
    except UnsupportedError as reason:
        return str(reason)
    return None


def sections(network: nn.Module) -> list[Section]:
    """Divide a network into sections. Raises UnsupportedError if the engine lacks a layer."""
    if type(network) is not nn.Sequential:
        raise UnsupportedError(f"{type(network).__name__} is not a flat nn.Sequential")
    found: list[Section] = []
    size, channels = SIDE, 1
    # A layer may occur several times: named_children would skip it from the second time on.
    everything = network.named_modules(remove_duplicate=False)
    layers = [(name, layer) for name, layer in everything if name and "." not in name]
    if not layers or not is_flatten(layers[-1][1]):
        raise UnsupportedError("the last layer is not nn.Flatten()")
    tensors = [id(each) for _, layer in layers for each in (*layer.parameters(), *layer.buffers())]
    if len({*tensors}) < len(tensors):
        raise UnsupportedError("layers share weights")
    if not all(weights.requires_grad for weights in network.parameters()):
        raise UnsupportedError("some weights are frozen")
    if is_altered(network):
        raise UnsupportedError("the network has hooks")
    for name, layer in layers:
        if is_altered(layer):
            raise UnsupportedError(f"layer {name}: {layer} may compute something of its own")
    for name, layer in layers[:-1]:
        section = found[-1] if found else None
        if isinstance(layer, nn.Conv2d):
            after = size_after(layer, name, size, channels)
            found.append(
                Section(name, layer, size, channels, after, layer.out_channels, section is None)
            )
        elif section is None:
            raise UnsupportedError(f"the first layer is {layer}, not a convolution")
        elif isinstance(layer, nn.AvgPool2d):
            after = mean_size(layer, name, size)
            found.append(Section(name, layer, size, channels, after, channels))
        elif not follow(section, name, layer):
            copy = Section(name, None, size, channels, size, channels)
            if not follow(copy, name, layer):
                raise UnsupportedError(f"layer {name}: {layer} is not one that the engine has")
            found.append(copy)
        size, channels = found[-1].out, found[-1].channels
        if size < 1:
            raise UnsupportedError(f"layer {name}: {layer} leaves nothing of the map")
    if not found:
        raise UnsupportedError("there is no convolution")
    if size != 1:
        raise UnsupportedError(f"the last map is {size}x{size}, not 1x1")
    if not found[-1].plain:
        found.append(Section("", None, size, channels, size, channels))
    return found


def is_altered(layer: nn.Module) -> bool:
    """Return whether a layer may do something else than torch's class: it is derived or hooked.

    Hooks are how torch.nn.utils prunes and normalizes weights.
    """
    hooks = (
        *(layer._forward_pre_hooks, layer._forward_hooks),
        *(layer._backward_pre_hooks, layer._backward_hooks),
        *(weights._backward_hooks for weights in layer.parameters(recurse=False)),
    )
    return not type(layer).__module__.startswith("torch.nn.modules.") or any(hooks)


def follow(section: Section, name: str, layer: nn.Module) -> bool:
    """Add a layer to a section if it fits there; return whether it does."""
    if isinstance(layer, nn.ReLU):
        # It commutes with dropout and max pooling. After a norm, it becomes part of the mask.
        if section.norm:
            section.rectified = True
        else:
            section.relu = True
    elif isinstance(layer, nn.BatchNorm2d) and layer.num_features == section.channels:
        usual = layer.track_running_stats and layer.momentum is not None
        if section.norm or section.dropout or section.pooled or not usual:
            return False
        section.norm, section.norm_name = layer, name
    elif type(layer) is nn.Dropout and layer.p < 1:
        if section.dropout and layer.p:
            return False
        if layer.p:
            section.dropout, section.drop_last = layer.p, section.pooled
    elif isinstance(layer, nn.MaxPool2d):
        if section.pooled or repr(layer) != repr(nn.MaxPool2d(2)):
            return False
        section.pooled = True
    else:
        return isinstance(layer, nn.Identity)
    return True


def is_flatten(layer: nn.Module) -> bool:
    """Return whether a layer flattens each image into one row."""
    return isinstance(layer, nn.Flatten) and (layer.start_dim, layer.end_dim) in ((1, -1), (1, 3))


def padding(layer: nn.Conv2d) -> int:
    """Return the number of zeros on each side of the map."""
    if isinstance(layer.padding, str):
        return layer.kernel_size[0] // 2 if layer.padding == "same" else 0
    return layer.padding[0]


def size_after(layer: nn.Conv2d, name: str, size: int, channels: int) -> int:
    """Return the size of a convolution's output. Raises UnsupportedError."""
    kernel = layer.kernel_size[0]
    for wrong, reason in (
        (layer.in_channels != channels, f"takes {layer.in_channels} channels of {channels}"),
        (layer.kernel_size != (kernel, kernel), "is not square"),
        (layer.padding == "same" and kernel % 2 == 0, "pads one side more than the other"),
        (not isinstance(layer.padding, str) and len({*layer.padding}) > 1, "is not square"),
        (layer.stride != (1, 1), "has a stride"),
        (layer.dilation != (1, 1), "has a dilation"),
        (layer.padding_mode != "zeros", "does not pad with zeros"),
        (layer.groups not in (1, channels), "has groups of several channels"),
        (layer.groups > 1 and layer.out_channels != channels, "has several filters per channel"),
        (size + 2 * padding(layer) < kernel, f"is larger than its map of {size}x{size}"),
    ):
        if wrong:
            raise UnsupportedError(f"layer {name}: {layer} {reason}")
    return size + 2 * padding(layer) - kernel + 1


def mean_size(layer: nn.AvgPool2d, name: str, size: int) -> int:
    """Return the size of average pooling's output. Raises UnsupportedError."""
    side = window(layer)
    if repr(layer) != repr(nn.AvgPool2d(layer.kernel_size)) or layer.kernel_size not in (
        side, (side, side),
    ) or layer.ceil_mode or layer.divisor_override:  # fmt: skip
        raise UnsupportedError(f"layer {name}: {layer} is not of square windows side by side")
    return size // side


def window(layer: nn.AvgPool2d | None) -> int:
    """Return the height and width of the windows; 1 for a copy."""
    if layer is None:
        return 1
    return layer.kernel_size if isinstance(layer.kernel_size, int) else layer.kernel_size[0]


@dataclass(frozen=True)
class Parameter:
    """An array of a network's state: a part of the vector of all parameters."""

    name: str
    """Name in the network's state_dict."""
    section: int
    field: str
    """Name of the field in the plan."""
    shape: tuple[int, ...]
    trained: bool
    """False for running statistics, and for a gain of 1 or an offset of 0 that the network's
    state_dict does not have."""


NORM_FIELDS = {
    "weight": "gain",
    "bias": "offset",
    "running_mean": "running_mean",
    "running_var": "running_var",
}
"""Names in the plan of what a norm's state_dict may have."""


def parameters(found: list[Section]) -> list[Parameter]:
    """Return all arrays of a network's state, in the order in which `Engine` slices them.

    First the weights of convolutions, which decay, then what else is trained, then the rest.
    """
    arrays = []
    for index, section in enumerate(found):
        linear, norm, channels = section.linear, section.norm, (section.channels,)
        if isinstance(linear, nn.Conv2d):
            shape = tuple(linear.weight.shape)
            arrays.append(Parameter(f"{section.name}.weight", index, "weight", shape, True))
            if linear.bias is not None:
                arrays.append(Parameter(f"{section.name}.bias", index, "bias", channels, True))
        for name, field in NORM_FIELDS.items() if norm else ():
            trained = isinstance(getattr(norm, name), nn.Parameter)
            arrays.append(Parameter(f"{section.norm_name}.{name}", index, field, channels, trained))
    return sorted(arrays, key=lambda each: (not each.trained, each.field != "weight"))


def padded(channels: int) -> int:
    """Return the number of channels, padded to whole vectors."""
    return -(-channels // 8) * 8


def layout(found: list[Section], batch: int, memory: Memory) -> tuple[Records, int]:
    """Return the plan for batches of up to `batch` images, and the number of doubles it needs.

    It has the places of everything except the parameters, which follow in one vector.
    """
    plan = np.zeros(len(found), RECORD)
    doubles = 0
    largest_out = 0
    for index, section in enumerate(found):
        record, before = plan[index], plan[index - 1] if index else None
        describe(record, section, before)
        pixels, out = batch * section.size**2, batch * section.out**2
        channels, channels_in = int(record["channels"]), int(record["channels_in"])
        line = section.size * channels
        largest_out = max(largest_out, out * channels)

        record["z"] = record["source"] = memory.floats(pixels * channels)
        masks = out if section.drop_last else pixels
        in_forward = record["drawn"] or (section.rectified and not section.pooled)
        record["mask"] = record["kept"] = memory.bytes(masks * channels if in_forward else 0)
        if section.pooled:
            record["source"] = memory.floats(out * channels)
            record["corner"] = memory.bytes(out * channels)
            record["kept"] = memory.bytes(out * channels)
        for name in ("scale", "shift", "back_scale", "back_slope", "back_shift", "bias_line"):
            record[name] = memory.floats(line)
        taps = int(record["kernel"]) ** 2
        for name in ("k", "kt", "dk"):
            record[name] = memory.floats(taps * (channels_in if record["dense"] else 1) * channels)
        if section.kind == WINOGRAD:
            for name in ("us", "uts", "dus"):
                record[name] = memory.floats(36 * channels_in * channels)
        # The margins of frames must stay 0, so each section has its own frames.
        group = int(record["group"])
        for name, floats in (
            ("a", int(record["width"]) ** 2 * channels_in),
            ("da", int(record["width"]) ** 2 * channels_in if index else 0),
            ("dz", int(record["dz_width"]) ** 2 * channels),
        ):
            record[name] = memory.floats(group * floats)
        for name, count in (
            ("statistics", 2 * line),
            ("gradient_sums", 2 * section.out * channels),
            ("bias_sums", channels),
            ("mean", channels),
            ("sd", channels),
        ):
            record[name] = doubles
            doubles += count

    tiled = plan["group"] * plan["tiles"] ** 2 * 36
    plan["vs"] = memory.floats(int(max(tiled * plan["channels_in"])))
    plan["ms"] = memory.floats(int(max(tiled * plan["channels"])))
    # 6 rows of transformed columns, as wide as the frame, of 8 channels.
    plan["scratch"] = memory.floats(6 * 8 * int(max(plan["width"])))
    plan["buffer"] = memory.floats(2 * int(max(plan["size"] * plan["channels"])))
    # A gradient is needed until the section before has computed its own: two places are enough.
    gradients = memory.floats(largest_out), memory.floats(largest_out)
    plan["g"] = [gradients[index % 2] for index in range(len(found))]
    return plan, doubles


def describe(record: Any, section: Section, before: Any) -> None:
    """Set all fields of a section's record except places."""
    kind = section.kind
    if isinstance(section.linear, nn.Conv2d):
        record["kernel"], record["padding"] = section.linear.kernel_size[0], padding(section.linear)
        record["dense"] = section.linear.groups == 1
        record["biased"] = section.linear.bias is not None
    else:
        record["kernel"] = window(section.linear)
    record["size_in"], record["true_in"] = section.size_in, section.channels_in
    record["channels_in"] = 1 if before is None else before["channels"]
    record["size"], record["true_channels"] = section.size, section.channels
    record["channels"], record["out"] = padded(section.channels), section.out

    record["width"] = section.size_in + 2 * record["padding"]
    record["group"], record["rows"] = 1, section.size
    if kind == WINOGRAD:
        record["tiles"] = -(-section.size // 4)
        record["width"] = 4 * record["tiles"] + 2
        record["group"] = max(1, 36 // record["tiles"] ** 2)
        record["dz_width"] = 4 * record["tiles"]
    elif kind == POINTWISE:
        whole_map = section.size_in > section.size
        record["row"] = record["channels_in"] * (section.size_in**2 if whole_map else 1)
        record["depth"] = record["row"] if whole_map else record["true_in"]
        if section.size > 8:
            record["rows"] = 2
        else:
            record["group"] = max(1, 128 // section.size**2)
        record["dz_width"] = section.size
    else:
        record["border"] = record["kernel"] - 1 if kind in (DEPTHWISE, TAPS) else 0
        record["dz_width"] = section.size + 2 * record["border"]

    record["floor"] = 0 if section.relu else -np.inf
    record["normed"], record["rectified"] = section.norm is not None, section.rectified
    record["pooled"], record["drawn"] = section.pooled, section.dropout > 0
    record["drop_last"], record["masked"] = section.drop_last, record["drawn"] or section.rectified
    record["factor"] = 1 / (1 - section.dropout)
    if section.norm:
        record["epsilon"], record["momentum"] = section.norm.eps, section.norm.momentum
