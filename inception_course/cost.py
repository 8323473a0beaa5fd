"""What a network costs: parameters, multiply-adds, memory and receptive field, layer by layer."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, fields
from math import prod
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .models.blocks import Add, Concatenate, InceptionBlock, LocalResponseNorm, ResidualBlock

KINDS = {
    nn.Conv2d: "convolution",
    nn.Linear: "linear",
    nn.BatchNorm2d: "normalization",
    LocalResponseNorm: "normalization",
    nn.MaxPool2d: "max-pooling",
    nn.AvgPool2d: "average pooling",
    nn.AdaptiveAvgPool2d: "average pooling",
    Concatenate: "concatenation",
    Add: "sum",
    nn.Dropout: "dropout",
}
SHAPING = (nn.Identity, nn.Flatten, nn.Sequential)  # no row: they compute nothing
BLOCKS = (InceptionBlock, ResidualBlock)


class Field(NamedTuple):
    """How many pixels, from top to bottom, a position of a map sees, and its neighbour's distance.

    A window of k positions widens the field by (k - 1) steps of the map that it slides over.
    """

    size: int = 1
    stride: int = 1

    def through(self, window: int, stride: int) -> "Field":
        return Field(self.size + (window - 1) * self.stride, self.stride * stride)


# A position may be reached on several ways through the branches of the blocks. Fields are kept for
# the way that always takes the branch of one name; where a block has no such branch, its widest
# stands in.
Fields = dict[str, Field]


def widest(fields: Fields) -> Field:
    return max(fields.values())


@dataclass(frozen=True, slots=True)
class Row:
    """One layer, or one block of layers, for one image.

    `output` is the shape without the batch, `weights` are the parameters without biases and
    normalizations, as papers tend to count, `activation_bytes` what its outputs take in memory and
    `receptive_fields` its fields in pixels, by the branch that leads there.
    """

    name: str
    kind: str
    output: tuple[int, ...]
    parameters: int
    weights: int
    multiply_adds: int
    activation_bytes: int
    receptive_fields: Fields

    @property
    def receptive_field(self) -> int:
        """Pixels from top to bottom, on the widest way."""
        return widest(self.receptive_fields).size

    @property
    def widest_path(self) -> str:
        """The branch on the widest way; empty before the first block."""
        return max(self.receptive_fields, key=self.receptive_fields.get)

    @property
    def stride(self) -> int:
        """Pixels from one position of the output to the next."""
        return widest(self.receptive_fields).stride


DERIVED = ("stride", "receptive_field", "widest_path")


@dataclass(frozen=True)
class CostTable:
    """The layers of a network in the order of their work, and the blocks that they form."""

    layers: tuple[Row, ...]
    blocks: tuple[Row, ...]

    def __iter__(self) -> Iterator[Row]:
        return iter(self.blocks)

    def __getitem__(self, name: str) -> Row:
        """The block or layer of that name."""
        for row in (*self.blocks, *self.layers):
            if row.name == name:
                return row
        names = ", ".join(row.name for row in self.blocks)
        raise KeyError(f"there is no {name!r}; blocks are {names}")

    @property
    def parameters(self) -> int:
        return sum(row.parameters for row in self.blocks)

    @property
    def multiply_adds(self) -> int:
        return sum(row.multiply_adds for row in self.blocks)

    @property
    def activation_bytes(self) -> int:
        """What training keeps for the way back, for one image."""
        return sum(row.activation_bytes for row in self.blocks)

    def frame(self, of: str = "blocks"):
        """The rows as a pandas data frame; `of` is "blocks" or "layers"."""
        import pandas as pd

        columns = [
            *(field.name for field in fields(Row) if field.name != "receptive_fields"),
            *DERIVED,
        ]
        rows = [[getattr(row, column) for column in columns] for row in getattr(self, of)]
        return pd.DataFrame(rows, columns=columns).set_index("name")


def table(model: nn.Module, input_shape: tuple[int, int, int]) -> CostTable:
    """What `model` costs for one image of `input_shape`, channels, height and width.

    Counted on torch's meta device, which computes shapes alone, in eval mode: auxiliary heads are
    left out as they are at inference. A multiply-add is one product added to a sum, in
    convolutions and linear layers; what biases, normalizations and poolings add is not counted,
    nor do papers count it.

    Raises `ValueError` for a shape that the model refuses.
    """
    if len(input_shape) != 3:
        raise ValueError(f"input_shape is (channels, height, width), not {tuple(input_shape)}")
    model = on_meta(model).eval()
    precision = next(model.parameters()).dtype
    images = torch.empty(1, *input_shape, device="meta", dtype=precision)
    layers = {}
    seen = {id(images): {"": Field()}}
    kept = [images]  # an id belongs to a tensor only while that lives

    def note(name: str, module: nn.Module, inputs: tuple, output: Tensor) -> None:
        (given,) = inputs
        answers = given if isinstance(given, dict) else {"": given}
        if not seen.keys() >= {id(answer) for answer in answers.values()}:
            raise ValueError(
                f"{name} works on what no layer gave: cost.table counts the networks of the "
                "course, whose branches meet in blocks.Concatenate or blocks.Add"
            )
        if isinstance(given, dict):
            before = merge({branch: seen[id(answer)] for branch, answer in given.items()})
        else:
            before = seen[id(given)]
        seen[id(output)] = {path: see(module, given, field) for path, field in before.items()}
        kept.append(output)
        in_place = output is given or isinstance(module, nn.Dropout)
        if not isinstance(module, SHAPING):
            layers[name] = Row(
                name,
                KINDS.get(type(module), "activation"),
                tuple(output.shape[1:]),
                sum(parameter.numel() for parameter in module.parameters()),
                sum(parameter.numel() for parameter in module.parameters() if parameter.ndim > 1),
                multiply_adds(module, output),
                0 if in_place else output.numel() * output.element_size(),
                seen[id(output)],
            )

    hooks = [
        module.register_forward_hook(
            lambda module, inputs, output, name=name: note(name, module, inputs, output)
        )
        for name, module in model.named_modules()
        if not list(module.children())
    ]
    try:
        with torch.no_grad():
            model(images)
    finally:
        for hook in hooks:
            hook.remove()
    return CostTable(tuple(layers.values()), tuple(blocks(model, layers)))


def report(costs: CostTable, printed: dict[str, tuple[float, int]] | None = None) -> str:
    """The blocks as a table to read, beside what a paper prints: parameters in K, operations in M.

    K is 1,024, as in GoogLeNet's Table 1.
    """
    head = f"{'':13}{'output':>17}{'parameters':>13}{'multiply-adds':>16}{'memory':>10}{'sees':>6}"
    lines = [head + ("   paper: params, ops" if printed else "")]
    for row in costs.blocks:
        output = " x ".join(map(str, row.output))
        line = f"{row.name:13}{output:>17}{row.parameters:13,}{row.multiply_adds / 1e6:14.1f} M"
        line += f"{row.activation_bytes / 1e6:7.2f} MB{row.receptive_field:6}"
        if printed and row.name in printed:
            parameters, operations = printed[row.name]
            line += f"{parameters:>12} K{operations:>6} M"
        lines.append(line)
    total = f"{'in all':13}{'':17}{costs.parameters:13,}{costs.multiply_adds / 1e6:14.1f} M"
    lines.append(total + f"{costs.activation_bytes / 1e6:7.1f} MB")
    return "\n".join(lines)


def on_meta(model: nn.Module) -> nn.Module:
    """A copy of `model` whose weights have a shape and no memory."""
    tensors = (*model.parameters(), *model.buffers())
    return copy.deepcopy(model, {id(t): as_meta(t) for t in tensors})


def as_meta(tensor: Tensor) -> Tensor:
    empty = tensor.detach().to("meta")
    return nn.Parameter(empty) if isinstance(tensor, nn.Parameter) else empty


def multiply_adds(module: nn.Module, output: Tensor) -> int:
    """Every output of a convolution or a linear layer is a sum of as many products as it sees."""
    if isinstance(module, nn.Conv2d):
        return output.numel() * module.in_channels // module.groups * prod(module.kernel_size)
    if isinstance(module, nn.Linear):
        return output.numel() * module.in_features
    return 0


def see(module: nn.Module, given: Tensor, field: Field) -> Field:
    """The field after `module`, on a map `given` whose positions have the field `field`."""
    if isinstance(module, nn.AdaptiveAvgPool2d | nn.Flatten) and given.ndim == 4:
        return field.through(given.shape[-2], given.shape[-2])
    if isinstance(module, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
        window, stride = (
            size if isinstance(size, int) else size[0]
            for size in (module.kernel_size, module.stride)
        )
        return field.through(window, stride)
    return field


def merge(answers: dict[str, Fields]) -> Fields:
    """The fields where the branches of a block come together."""
    return {
        branch: fields[branch] if branch in fields else widest(fields)
        for branch, fields in answers.items()
    }


def blocks(model: nn.Module, layers: dict[str, Row]) -> Iterator[Row]:
    """The layers, those of one stage of the network taken together."""
    groups: dict[str, list[Row]] = {}
    for name, row in layers.items():
        groups.setdefault(".".join(name.split(".")[:2]), []).append(row)
    for name, rows in groups.items():
        module = model.get_submodule(name)
        last = rows[-1]
        yield Row(
            name.rpartition(".")[2],
            "block" if isinstance(module, BLOCKS) else rows[0].kind,
            last.output,
            sum(row.parameters for row in rows),
            sum(row.weights for row in rows),
            sum(row.multiply_adds for row in rows),
            sum(row.activation_bytes for row in rows),
            last.receptive_fields,
        )
