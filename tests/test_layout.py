"""The shape of the package: imports run one way, and the loop of a training reads at sight."""

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "inception_course"
# From the ground up: a module imports from its own line or from those before it.
LEVELS = [
    {"machine", "reading", "records"},
    {"data", "models"},
    {"evaluate", "cost", "probe", "batch_norm", "hebbian"},
    {"train"},
    {"studies"},
    {"plots"},
    {"lessons"},
    {"__main__", ""},  # the command, and the package itself with its map
]


def dotted(path):
    """`data/folders.py` as ("data", "folders"); a package is its `__init__`."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" else parts


MODULES = {dotted(path): path for path in sorted(PACKAGE.rglob("*.py"))}
TREES = {name: ast.parse(path.read_text("utf-8")) for name, path in MODULES.items()}


def imported(module):
    """The modules of the package that a module imports anywhere, also within functions.

    What Python runs because a module lies in a package does not count: the package is not named.
    """
    package = module if MODULES[module].name == "__init__.py" else module[:-1]
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.Import):
            names = [(PACKAGE.name, alias.name.split(".")) for alias in node.names]
            found = [tuple(parts[1:]) for root, parts in names if parts[0] == root]
        elif isinstance(node, ast.ImportFrom):
            below = tuple(node.module.split(".")) if node.module else ()
            if node.level:
                base = package[: len(package) - node.level + 1] + below
            elif below[0] == PACKAGE.name:
                base = below[1:]
            else:
                continue
            found = [(*base, alias.name) for alias in node.names]
            found = [name if name in MODULES else base for name in found]
            found += [base] if base != package[: len(base)] else []
        else:
            continue
        yield from found


GRAPH = {module: set(imported(module)) for module in MODULES}


def level(module):
    top = module[0] if module else ""
    return [top in names for names in LEVELS].index(True)


def test_imports_are_found():
    assert {("machine",), ("data", "pictures")} <= GRAPH["data", "folders"]
    assert {("data",), ("train", "processes"), ("train", "recipes")} <= GRAPH["train", "session"]
    assert {("plots",), ("studies", "bench"), ("train",)} <= GRAPH["__main__",]  # within functions
    assert set.union(*LEVELS) == {module[0] if module else "" for module in MODULES}


def test_imports_never_point_upwards():
    upwards = [
        f"{'.'.join(module)} imports {'.'.join(target)}"
        for module, targets in GRAPH.items()
        for target in targets
        if level(target) > level(module)
    ]
    assert not upwards


def test_imports_make_no_circle():
    TopologicalSorter(GRAPH).prepare()  # raises CycleError


def test_the_package_knows_no_notebooks():
    mention = re.compile(r"notebooks/|\.ipynb\b")
    assert not [path for path in MODULES.values() if mention.search(path.read_text("utf-8"))]


def test_the_loop_is_short_and_knows_nothing_of_processes():
    source = MODULES["train", "loop"].read_text("utf-8")
    assert len(source.splitlines()) <= 150
    nodes = list(ast.walk(TREES["train", "loop"]))
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    names |= {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    assert not names & {"processes", "distributed", "dist"}
    assert ("train", "processes") not in GRAPH["train", "loop"]


def test_a_step_reads_forward_loss_zero_grad_backward_step():
    (epoch,) = (
        node
        for node in TREES["train", "loop"].body
        if isinstance(node, ast.FunctionDef) and node.name == "one_epoch"
    )
    (loop,) = (node for node in epoch.body if isinstance(node, ast.For))
    statements = [ast.unparse(statement) for statement in loop.body]
    step = ("model(", "objective(", "optimizer.zero_grad()", "loss.backward()", "optimizer.step()")
    places = [next(i for i, line in enumerate(statements) if part in line) for part in step]
    assert places == [*range(places[0], places[0] + 5)]
