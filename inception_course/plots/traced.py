"""The maps, layers and branches that the drawings of networks show, traced from the modules."""

import copy
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple, TypeAlias

import torch
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from .. import cost
from .ribbons import KINDS


def kind_of(module: nn.Module | None) -> str:
    """Return the kind of a layer that multiplies, one of `KINDS`."""
    if not isinstance(module, nn.Conv2d):
        return "linear" if isinstance(module, nn.Linear) else "other"
    short, long = sorted(module.kernel_size)
    kind = f"{short}x{long}" + (f", {long}x{short}" if short < long else "")
    return kind if kind in KINDS else "other"


class Column(NamedTuple):
    """A column is a map, with the layers that make it from the map before.

    `work` has the multiply-adds by kind of layer. `pooled` is the height of the map after a pooling
    before these layers, or 0. `groups` is the number of groups of channels that do not see one
    another.
    """

    name: str
    channels: int
    height: int
    width: int
    work: dict[str, int]
    pooled: int = 0
    groups: int = 1

    @property
    def size(self) -> str:
        return f"{self.height}x{self.width}"

    @property
    def multiply_adds(self) -> int:
        return sum(self.work.values())


def read_columns(model: nn.Module, input_shape: tuple[int, int, int]) -> list[Column]:
    """Trace `model` and list its maps: the image, and one for each stage that multiplies."""
    columns, pooling, pooled = [Column("image", *input_shape, {})], "", 0
    modules = dict(model.named_modules())
    layers = cost.table(model, input_shape).layers
    for name, group in groupby(layers, lambda row: ".".join(row.name.split(".")[:2])):
        rows = list(group)
        work, groups = Counter[str](), 1
        for row in rows:
            module = modules.get(row.name)
            if row.multiply_adds:
                work[kind_of(module)] += row.multiply_adds
            if isinstance(module, nn.Conv2d):
                groups = max(groups, module.groups)
        channels, height, width = (*rows[-1].output, 1, 1)[:3]
        if work:
            columns.append(Column(name, channels, height, width, dict(work), pooled, groups))
            pooled = 0
        elif any(row.kind.endswith("pooling") for row in rows):
            pooling, pooled = name, height
    if pooled:  # it comes last
        columns.append(Column(pooling, channels, height, width, {}, pooled))
    short = [column.name.rpartition(".")[2] for column in columns]
    if len(set(short)) < len(short):
        return columns
    return [column._replace(name=name) for column, name in zip(columns, short, strict=True)]


class Layer(NamedTuple):
    """A layer in a block; `channels` and `side` are those of its output."""

    kind: str
    label: str
    channels: int
    side: int
    multiply_adds: int


class Fork(NamedTuple):
    """Branches that read the same map, and whose outputs are stacked as channels or summed."""

    branches: "list[Chain]"
    channels: int
    is_sum: bool


Chain: TypeAlias = list[Layer | Fork]


class _Tracer(fx.Tracer):
    """Follow a forward pass down to the modules that contain no others."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return not any(True for _ in m.children())


def read_block(block: nn.Module, input_shape: tuple[int, int, int]) -> Chain:
    """Trace what `block` does to a map of (channels, height, width).

    Raises `ValueError` for a block that cannot be traced, or whose branches meet in another way
    than by concatenation or sum.
    """
    work = {row.name: row.multiply_adds for row in cost.table(block, input_shape).layers}
    try:
        graph = _Tracer().trace(block)
    except fx.proxy.TraceError as error:
        raise ValueError(
            f"the drawing cannot follow the forward pass of this {type(block).__name__}, which "
            f"depends on the values that it gets: give one of its blocks. {error}"
        ) from error
    meta = fx.GraphModule(copy.deepcopy(block).to("meta").eval(), graph)
    ShapeProp(meta).propagate(torch.empty(1, *input_shape, device="meta"))
    modules = dict(block.named_modules())
    nodes = list(graph.nodes)
    before: dict[fx.Node, set[fx.Node]] = {}  # the nodes that lie on every way to a node
    for node in nodes:
        ways = [before[source] for source in node.all_input_nodes]
        before[node] = {node, *(set.intersection(*ways) if ways else ())}

    def chain(node: fx.Node, start: fx.Node) -> Chain:
        """Walk back from a node to the one where its branch starts."""
        parts: Chain = []
        while node is not start:
            sources = node.all_input_nodes
            if len(sources) == 1:
                parts += layer(node)
                node = sources[0]
                continue
            how = node.name.rstrip("_0123456789")
            shared = set.intersection(*(before[each] for each in sources))
            joined, out = [shape(each)[0] for each in sources], shape(node)[0]
            fits = sum(joined) == out if how == "cat" else {*joined} == {out}
            if how not in ("cat", "add", "iadd") or not shared or not fits:
                raise ValueError(
                    f"the drawing knows branches of one map that meet in a concatenation or a sum; "
                    f"in this {type(block).__name__} something meets in {node.name!r}"
                )
            fork = max(shared, key=nodes.index)
            branches = [chain(each, fork) for each in sources]
            parts.append(Fork(branches, out, how != "cat"))
            node = fork
        return parts[::-1]

    def layer(node: fx.Node) -> Iterator[Layer]:
        module = modules[str(node.target)] if node.op == "call_module" else None
        channels, side = (*shape(node), 1)[:2]
        multiply_adds = work.get(str(node.target), 0)
        name = (type(module).__name__ if module else node.name).lower()
        if multiply_adds:
            yield Layer(kind_of(module), label_of(module), channels, side, multiply_adds)
        elif "pool" in name:
            window = getattr(module, "kernel_size", None)
            label = "max" if "max" in name else "average"
            label += f" {window}x{window}" if isinstance(window, int) else ""
            yield Layer("pooling", label, channels, side, 0)
        elif len(shape(node)) == 3 and side < shape(node.all_input_nodes[0])[1]:  # it skips
            step = round(shape(node.all_input_nodes[0])[1] / side)
            yield Layer("pooling", f"1 of {step}x{step}", channels, side, 0)

    def shape(node: fx.Node) -> tuple[int, ...]:
        return tuple(node.meta["tensor_meta"].shape[1:])

    image, last = nodes[0], nodes[-1].all_input_nodes[0]
    return chain(last, image)


def label_of(module: nn.Module | None) -> str:
    """Return the label of a layer that multiplies."""
    if not isinstance(module, nn.Conv2d):
        return "linear"
    stride = f", stride {module.stride[0]}" if module.stride[0] > 1 else ""
    return "x".join(map(str, module.kernel_size)) + stride


def layers(chain: Chain) -> Iterator[Layer]:
    for part in chain:
        if isinstance(part, Layer):
            yield part
        else:
            for branch in part.branches:
                yield from layers(branch)


def products(chain: Chain) -> int:
    return sum(layer.multiply_adds for layer in layers(chain))
