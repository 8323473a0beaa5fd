"""Count what a network costs: parameters, multiply-adds, memory, receptive field, by layer."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, count
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

# What a layer is called, by the class of its module or, where a function is called between modules,
# by its operation.
MODULES: dict[type[nn.Module], str] = {
    nn.Conv2d: "convolution",
    nn.Linear: "linear",
    nn.MultiheadAttention: "attention",
    nn.BatchNorm2d: "normalization",
    nn.LocalResponseNorm: "normalization",
    nn.LayerNorm: "normalization",
    nn.MaxPool2d: "max-pooling",
    nn.AvgPool2d: "average pooling",
    nn.AdaptiveAvgPool2d: "average pooling",
    nn.Dropout: "dropout",
}
OPERATIONS = {
    "addmm": "linear",
    "mm": "linear",
    "bmm": "matrix product",
    "cat": "concatenation",
    "add": "sum",
    "max_pool2d": "max-pooling",
    "avg_pool2d": "average pooling",
    "adaptive_avg_pool2d": "average pooling",
    "mean": "average pooling",
}
SHAPING = (nn.Identity, nn.Flatten, nn.Sequential, nn.ModuleDict)  # no row: they compute nothing
# Their output at a position comes from that position alone, which their operations do not show.
PER_POSITION = (nn.BatchNorm2d, nn.LocalResponseNorm, nn.Dropout)


class Field(NamedTuple):
    """A position of a map sees `size` pixels from top to bottom, its neighbor `stride` further on.

    A window of k positions widens the field by (k - 1) strides of the map that it slides over.
    """

    size: int = 1
    stride: int = 1

    def through(self, window: int, stride: int) -> "Field":
        return Field(self.size + (window - 1) * self.stride, self.stride * stride)


# Where branches meet, several ways lead to a position. Fields are kept by the name of a branch: for
# the way that always takes this branch and, where there is none, the widest. A field that cannot be
# traced is missing.
Fields = dict[str, Field]


def widest(fields: Fields) -> Field:
    return max(fields.values())


@dataclass(frozen=True, slots=True)
class Row:
    """A row says what one layer, or one block of layers, costs for one image.

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
    def receptive_field(self) -> int | None:
        """Return the side of the widest field, in pixels; None if it cannot be traced."""
        return widest(self.receptive_fields).size if self.receptive_fields else None

    @property
    def stride(self) -> int | None:
        """Return how many pixels apart neighboring positions of the output look, or None."""
        return widest(self.receptive_fields).stride if self.receptive_fields else None


@dataclass(frozen=True)
class CostTable:
    """A table has a network's layers in the order in which they work, and the blocks they form."""

    layers: tuple[Row, ...]
    blocks: tuple[Row, ...]

    def __iter__(self) -> Iterator[Row]:
        return iter(self.blocks)

    def __getitem__(self, name: str) -> Row:
        """Find the block or layer of that name."""
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
        """Return how many bytes training keeps for the backward pass, for one image."""
        return sum(row.activation_bytes for row in self.blocks)


def table(model: nn.Module, input_shape: tuple[int, ...]) -> CostTable:
    """Count what `model`, any module, costs for one image of (channels, height, width).

    The model runs once, in eval mode, on torch's meta device, which computes shapes alone: its
    forward takes floats, and no decision of Python in it may depend on their values. Every
    operation counts for the layer that calls it; a function that is called between layers, such as
    `torch.cat`, is a layer of its own. Parameters are counted where they are first used, so that
    auxiliary heads are left out as they are at inference.

    A multiply-add is one product added to a sum, in convolutions, linear layers and the products of
    matrices that attention is made of: half of what torch's `FlopCounterMode` counts. What biases,
    normalizations, activations and poolings compute is not counted, nor do papers count it.

    Raises `ValueError` where the forward pass stops, as for a shape that the model refuses.
    """
    if len(input_shape) != 3 and any(isinstance(m, nn.Conv2d) for m in model.modules()):
        raise ValueError(f"input_shape is (channels, height, width), not {tuple(input_shape)}")
    model = _on_meta(model).eval()
    floats = (p.dtype for p in model.parameters() if p.is_floating_point())
    trace = _Trace(model)
    try:
        with torch.no_grad(), torch.device("meta"):
            images = torch.empty(1, *input_shape, dtype=next(floats, None))
            trace.seen[id(images)] = images, "", {"": Field()} if images.ndim == 4 else {}
            with trace:
                model(images)
    except (RuntimeError, ValueError, TypeError, IndexError, AssertionError) as error:
        raise ValueError(
            f"the forward pass is followed without values for input_shape={tuple(input_shape)}, "
            f"the shape of one image, and {trace.where()}: {error}. Give a shape that the network "
            "takes; what decides on values cannot be followed"
        ) from error
    layers = tuple(trace.rows.values())
    return CostTable(layers, tuple(_blocks(layers)))


def report(costs: CostTable, printed: dict[str, tuple[float, int]] | None = None) -> str:
    """Write the blocks as a table, beside what a paper prints: parameters in K, operations in M.

    K is 1,024, as in GoogLeNet's Table 1. A dash stands where no receptive field could be traced.
    """
    wide = max([13, *(len(row.name) + 1 for row in costs.blocks)])
    head = f"{'output':>17}{'parameters':>13}{'multiply-adds':>16}{'memory':>10}{'sees':>6}"
    lines = [" " * wide + head + ("   paper: params, ops" if printed else "")]
    for row in costs.blocks:
        output = " x ".join(map(str, row.output))
        line = f"{row.name:{wide}}{output:>17}{row.parameters:13,}{row.multiply_adds / 1e6:14.1f} M"
        line += f"{row.activation_bytes / 1e6:7.2f} MB{row.receptive_field or '-':>6}"
        if printed and row.name in printed:
            parameters, operations = printed[row.name]
            line += f"{parameters:>12} K{operations:>6} M"
        lines.append(line)
    total = f"{'in all':{wide}}{'':17}{costs.parameters:13,}{costs.multiply_adds / 1e6:14.1f} M"
    lines.append(total + f"{costs.activation_bytes / 1e6:7.1f} MB")
    return "\n".join(lines)


class _Trace(TorchDispatchMode):
    """Note every operation of a forward pass in the row of the layer that calls it."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.rows: dict[str, Row] = {}
        self.running: list[tuple[str, nn.Module]] = [("", model)]  # modules, the innermost last
        self.in_layer = False  # whether the innermost has no modules inside it
        self.products, self.used = 0, list[Tensor]()  # multiply-adds and parameters of that layer
        self.unused: dict[int, Tensor] = {_memory(each): each for each in model.parameters()}
        # Each tensor that depends on the image, by its id: the tensor, so that the id stays its
        # own; the module or function that made it; its fields.
        self.seen: dict[int, tuple[Tensor, str, Fields]] = {}
        for name, module in model.named_modules():
            module.register_forward_pre_hook(partial(self.enter, name))
            module.register_forward_hook(partial(self.leave, name), with_kwargs=True)

    def enter(self, name: str, module: nn.Module, inputs: tuple) -> None:
        self.running.append((name, module))
        self.in_layer = _is_layer(module)
        self.products, self.used = 0, []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        given, outputs = _tensors((args, kwargs)), _tensors(result)
        operation = func.overloadpacket.__name__.strip("_").removesuffix("_with_indices")
        name = self.free_name(operation)
        ways = [self.seen[id(tensor)] for tensor in given if id(tensor) in self.seen]
        if ways:
            for output in outputs:
                self.seen[id(output)] = output, name, _fields(func, operation, args, output, ways)
        if func.is_view or not outputs:
            return result
        used = [self.unused.pop(_memory(t)) for t in given if _memory(t) in self.unused]
        products = _multiply_adds(operation, args, outputs[0])
        if self.in_layer:
            self.products += products
            self.used += used
        elif ways or used:
            self.note(name, OPERATIONS.get(operation, operation), given, outputs[0], used, products)
        return result

    def leave(self, name: str, module: nn.Module, args: tuple, kwargs: dict, result: Any) -> None:
        given, outputs = _tensors((args, kwargs)), _tensors(result)
        for output in outputs:
            if id(output) in self.seen:
                fields = self.seen[id(given[0] if isinstance(module, PER_POSITION) else output)][2]
                self.seen[id(output)] = output, name, fields
        if outputs and _is_layer(module) and not isinstance(module, SHAPING):
            words = [word for kind, word in MODULES.items() if isinstance(module, kind)]
            is_activation = type(module).__module__ == nn.ReLU.__module__
            kind = (*words, "activation" if is_activation else type(module).__name__)[0]
            name = name or type(module).__name__
            self.note(name, kind, given, outputs[0], self.used, self.products)
        self.running.pop()
        self.in_layer = False

    def free_name(self, operation: str) -> str:
        """Name a function that the module at work calls: `relu`, at its next call `relu_2`."""
        name = ".".join(filter(None, (self.running[-1][0], operation)))
        numbered = (f"{name}_{number}" for number in count(2))
        return next(each for each in chain((name,), numbered) if each not in self.rows)

    def where(self) -> str:
        """Say where the forward pass is."""
        name, module = self.running[-1]
        layer = f", {module}" if _is_layer(module) else ""
        return f"it stopped in {name or 'its forward'}{layer}"

    def note(
        self,
        name: str,
        kind: str,
        given: list[Tensor],
        output: Tensor,
        used: list[Tensor],
        products: int,
    ) -> None:
        """Add a call to the row of its layer, which may have been called before."""
        is_new = _memory(output) not in map(_memory, given)
        before = self.rows.pop(name, Row(name, kind, (), 0, 0, 0, 0, {}))
        size = output.numel() * output.element_size() if is_new else 0
        self.rows[name] = replace(
            before,
            output=tuple(output.shape[1:]),
            parameters=before.parameters + sum(tensor.numel() for tensor in used),
            weights=before.weights + sum(tensor.numel() for tensor in used if tensor.ndim > 1),
            multiply_adds=before.multiply_adds + products,
            activation_bytes=before.activation_bytes + size,
            receptive_fields=self.seen[id(output)][2] if id(output) in self.seen else {},
        )


def _is_layer(module: nn.Module) -> bool:
    return isinstance(module, nn.MultiheadAttention) or not any(True for _ in module.children())


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def _memory(tensor: Tensor) -> int:
    """Return a number that a tensor shares with its views, and with no other tensor."""
    return tensor.untyped_storage()._cdata


def _on_meta(model: nn.Module) -> nn.Module:
    """Return a copy of `model` whose weights and other tensors have a shape, but no memory."""
    tensors = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    for module in model.modules():
        tensors |= {
            id(value): value for value in vars(module).values() if isinstance(value, Tensor)
        }
    memo: dict[int, Any] = {key: _as_meta(tensor) for key, tensor in tensors.items()}
    return copy.deepcopy(model, memo)


def _as_meta(tensor: Tensor) -> Tensor:
    empty = tensor.detach().to("meta")
    return nn.Parameter(empty) if isinstance(tensor, nn.Parameter) else empty


def _multiply_adds(operation: str, args: tuple, output: Tensor) -> int:
    """Count an operation's multiply-adds, 0 unless it is a convolution or a product of matrices."""
    if operation == "convolution":
        images, weight, transposed = args[0], args[1], args[6]
        return (images if transposed else output).numel() * weight[0].numel()
    if operation in ("mm", "bmm"):
        return output.numel() * args[0].shape[-1]
    if operation in ("addmm", "baddbmm"):
        return output.numel() * args[1].shape[-1]
    if operation in ("mv", "dot"):
        return args[0].numel()
    if operation == "addmv":
        return args[1].numel()
    if operation == "trilinear":  # of nn.Bilinear
        shapes = [_with_ones(each, dims) for each, dims in zip(args[:3], args[3:6], strict=True)]
        return torch.broadcast_shapes(*shapes).numel()
    return 0


def _with_ones(tensor: Tensor, dims: list[int]) -> torch.Size:
    for dim in dims:
        tensor = tensor.unsqueeze(dim)
    return tensor.shape


def _fields(func: Any, operation: str, args: tuple, output: Tensor, ways: list) -> Fields:
    """Return the fields of `output`, which an operation makes from inputs on these ways."""
    window = _window(func, operation, args, ways[0][0], output)
    if window is None:
        return {}
    fields = _join([(source, fields) for _, source, fields in ways])
    return {path: field.through(*window) for path, field in fields.items()}


def _window(
    func: Any, operation: str, args: tuple, given: Tensor, output: Tensor
) -> tuple[int, int] | None:
    """Return how many input rows an output row sees, and how many rows further on the next starts.

    It is None for an operation of which this is not known.
    """
    if torch.Tag.pointwise in func.tags or operation in ("clone", "constant_pad_nd", "hardswish"):
        return 1, 1
    if operation == "cat":
        return (1, 1) if args[1:] == (1,) else None
    if operation == "convolution" and given.ndim == 4 and not args[6]:
        return (args[1].shape[2] - 1) * args[5][0] + 1, args[3][0]
    if operation in ("max_pool2d", "avg_pool2d"):
        (window, *_), (stride, *_) = args[1], (args[2] if len(args) > 2 and args[2] else args[1])
        dilation = args[4][0] if operation == "max_pool2d" and len(args) > 4 else 1
        return (window - 1) * dilation + 1, stride
    if given.ndim == 2 or given.shape[2:] == (1, 1):
        return 1, 1  # there is a single position
    if given.ndim < 4:
        return None
    if not output.ndim:  # one number for all images
        return None
    height, planes = given.shape[-2], tuple(given.shape[-2:])
    whole = output.shape[2:] in ((), (1, 1)) and len(output) == len(given)
    if whole and operation in ("view", "unsafe_view", "mean", "adaptive_avg_pool2d"):
        return height, height
    if operation == "adaptive_avg_pool2d" and height % output.shape[2] == 0:
        return height // output.shape[2], height // output.shape[2]
    if operation == "slice" and given.ndim == 4 and len(args) > 4 and args[1] in (2, 3):
        return 1, args[4] if args[1] == 2 else 1  # every N-th row, or column
    stays = operation in ("view", "unsafe_view", "split", "slice") or (
        operation == "transpose" and max(each % given.ndim for each in args[1:]) < given.ndim - 2
    )
    return (1, 1) if stays and output.ndim >= 4 and tuple(output.shape[-2:]) == planes else None


def _join(ways: list[tuple[str, Fields]]) -> Fields:
    """Join the fields of ways that meet, by branch: the first part in which module names differ."""
    (_, first), *others = ways
    if not others or not all(fields for _, fields in ways):
        return first if not others else {}
    parts = [source.split(".") for source, _ in ways]
    differ = [depth for depth, names in enumerate(zip(*parts, strict=False)) if len({*names}) > 1]
    stride = min(widest(fields).stride for _, fields in ways)  # not of a mean spread over the map
    joined: Fields = {}
    for part, (_, fields) in zip(parts, ways, strict=True):
        branch = part[differ[0] if differ else -1]
        field = fields.get(branch, widest(fields))._replace(stride=stride)
        joined[branch] = max(field, joined.get(branch, field))
    return joined


def _blocks(layers: tuple[Row, ...]) -> Iterator[Row]:
    """Join the layers of each stage of the network into one row."""
    groups: dict[str, list[Row]] = {}
    for row in layers:
        groups.setdefault(".".join(row.name.split(".")[:2]), []).append(row)
    short = [name.rpartition(".")[2] for name in groups]
    names = short if len(set(short)) == len(short) else list(groups)
    for name, rows in zip(names, groups.values(), strict=True):
        working = [row for row in rows if row.multiply_adds] or rows
        yield replace(
            rows[-1],
            name=name,
            kind="block" if len(working) > 1 else working[0].kind,
            parameters=sum(row.parameters for row in rows),
            weights=sum(row.weights for row in rows),
            multiply_adds=sum(row.multiply_adds for row in rows),
            activation_bytes=sum(row.activation_bytes for row in rows),
        )
