"""The command line: python -m inception_course, then one of the commands below."""

import signal
import sys
import traceback
from dataclasses import replace
from functools import partial
from io import TextIOWrapper
from pathlib import Path

from .lessons import doctor

try:
    from typing import Annotated, NoReturn

    import typer
    from torch import nn
    from tqdm import tqdm

    from . import data, machine, records
    from . import train as training
    from .data import folders
    from .train import checkpoint, processes
except (ImportError, OSError) as error:
    doctor.give_up(error)

STUCK = 3  # exit code of a training that ended at chance
LARGEST = 2**63 - 1  # seed

app = typer.Typer(
    help="The Inception Course: check this machine, train, evaluate, count, measure.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(help="Find Fashion-MNIST, download it, or cut the sample of the package.")
app.add_typer(data_app, name="data", no_args_is_help=True)

Root = Annotated[Path | None, typer.Option(help="The folder with the four files of Fashion-MNIST.")]
Sample = Annotated[
    int | None,
    typer.Option(min=1, help="Use N images of the sample that comes with the course; no download."),
]
Images = Annotated[
    Path | None,
    typer.Option(help="Your own pictures instead of Fashion-MNIST: a folder for each class."),
]
Workers = Annotated[int, typer.Option(min=0, help="Extra processes that read your own pictures.")]
Minutes = Annotated[
    float,
    typer.Option(
        help="Begin nothing new after N minutes; the same command resumes.", show_default=False
    ),
]
FOREVER = float("inf")
progress_bar = partial(tqdm, unit="batch", leave=False, disable=None)  # none in a log file


@app.command("doctor")
def doctor_command() -> None:
    """Check whether this machine is ready for the course; if not, say what to do."""
    checks = doctor.examine()
    typer.echo(doctor.report(checks))
    raise typer.Exit(bool(doctor.failed(checks)))


@app.command()
def train(
    model: Annotated[
        str | None, typer.Option(help="A network, such as googlenet_bn. Default: the recipe's.")
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(help=f"How to train: {', '.join(training.RECIPES)}.")
    ] = None,
    init_from: Annotated[
        Path | None, typer.Option(help="The run whose trained network the recipe begins with.")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Passes over the images, instead of the recipe's.")
    ] = None,
    seed: Annotated[
        int,
        typer.Option(
            min=0, max=LARGEST, help="Decides the initial weights and every other random draw."
        ),
    ] = 0,
    initial_seed: Annotated[
        int | None,
        typer.Option(min=0, max=LARGEST, help="Decides the initial weights, instead of --seed."),
    ] = None,
    sample: Sample = None,
    root: Root = None,
    images: Images = None,
    workers: Workers = 0,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the results. Default: runs/MODEL-RECIPE-TIME.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Resume the run in --out.")] = False,
    allow_changes: Annotated[
        bool,
        typer.Option("--allow-changes", help="Resume even if recipe or data were different."),
    ] = False,
) -> None:
    """Train a network; save its record, its weights and its learning curves.

    Without options it trains on Fashion-MNIST by the recipe "quick", with --images by "pictures".
    Under torchrun several processes share the work; give --out then. The exit code is 3 if the
    network is stuck at chance.
    """
    import torch

    from . import models, plots

    recipe = recipe or ("pictures" if images else "quick")
    if recipe not in training.RECIPES:
        fail(f"unknown recipe {recipe!r}: valid are {', '.join(training.RECIPES)}")
    chosen = replace(training.RECIPES[recipe], seed=seed)
    meant, options = training.NETWORKS[recipe]
    model = model or meant
    if epochs is not None:
        chosen = replace(chosen, epochs=epochs)
    if out is None and processes.launched():
        fail("name a folder with --out, where processes that are started again find the run")
    folder = out or checkpoint.new_folder(f"{model}-{recipe}")
    if resume and not checkpoint.has_checkpoint(folder):
        fail(f"there is no run in {folder} to resume: name its folder with --out")
    say = typer.echo if processes.is_first() else lambda text: None

    if images:
        say(folders.describe(images))
    val_count = sample and min(sample, data.SAMPLE_SIZES["val"])
    train_set = open_split("train", sample, root, images, workers)
    val_set = open_split("val", val_count, root, images, workers)
    classes = classes_of(train_set)
    if images:
        options = options | {"in_channels": 3, "num_classes": len(classes)}

    torch.manual_seed(seed if initial_seed is None else initial_seed)
    device, sentence = machine.pick_device()
    if chosen.init_from or init_from:
        network = checkpoint.load_initial(chosen, model, init_from)
        check_classes(network, train_set, images)
    else:
        taken = models.options_of(model)
        options = {name: value for name, value in options.items() if name in taken}
        if "image_size" in taken and "stem" not in taken:  # it is for images of one size
            options["image_size"] = chosen.image_size
        network = models.create(model, **options)
    count = min(len(train_set), chosen.train_images or len(train_set))
    say(f"{model}, recipe {recipe}: {many(count, 'image')}, {many(chosen.epochs, 'epoch')}.")
    say(sentence)

    def tell(epoch: training.Epoch) -> None:
        typer.echo(
            f"epoch {epoch.number}: training loss {epoch.train_loss:.4f}, validation loss "
            f"{epoch.val_loss:.4f}, validation accuracy {epoch.val_accuracy:.4f}, "
            f"{epoch.seconds:.1f} s"
        )
        so_far = training.Run((epoch,), chosen, {"classes": len(classes)})
        if so_far.diagnosis and epoch.number == 1 < chosen.epochs:
            typer.echo(so_far.diagnosis)

    try:
        with processes.process_group(device) as mine:
            run = training.fit(
                network.to(mine),
                train_set,
                val_set,
                chosen,
                network={"model": model, "options": options},
                on_epoch_end=tell,
                progress=progress_bar,
                checkpoint=folder,
                resume=resume or processes.restarted(),
                allow_changes=allow_changes,
            )
    except training.Interrupted as stop:
        if processes.is_first():
            typer.echo(f"Stopped after {stop.where}. The same command continues with", err=True)
            typer.echo(f"  --resume --out {folder}", err=True)
        raise typer.Exit(128 + stop.signal) from None
    if not processes.is_first():
        return
    checkpoint.save_weights(folder / "weights.pt", network, model, options, classes)
    machine.write_atomically(folder / "curves.png", plots.learning_curves(run).png())
    typer.echo(f"{run}\nRecord, weights and curves are in {folder}.")
    if run.diagnosis:
        raise typer.Exit(STUCK)


@app.command()
def evaluate(
    folder: Annotated[Path, typer.Argument(help="The folder of a run, as `train` made it.")],
    split: Annotated[str, typer.Option(help="The images: train, val or test.")] = "test",
    sample: Sample = None,
    root: Root = None,
    images: Images = None,
    workers: Workers = 0,
) -> None:
    """Say how often a trained network is right, in all and class by class.

    Accuracy and confusion matrix on the whole test set are kept in the run's record.
    """
    from . import evaluate as evaluation

    network, run = training.load_trained(folder)
    dataset = open_split(split, sample, root, images, workers)
    check_classes(network, dataset, images)
    network.to(machine.pick_device()[0])
    size = run.recipe.image_size
    cells = evaluation.confusion(network, dataset, size=size, progress=progress_bar)
    count = int(cells.sum())
    accuracy = int(cells.trace()) / count
    typer.echo(f"{split}: accuracy {accuracy:.4f} on {many(count, 'image')}")
    rows = dict(zip(vars(network)["classes"], cells.tolist(), strict=True))
    for label, (name, row) in enumerate(rows.items()):
        if any(row):
            typer.echo(f"  {name:12} {row[label] / sum(row):.3f}")
    if split == "test" and sample is None:
        run = replace(run, test_accuracy=round(accuracy, 6), test_confusion=rows)
        records.save(run, folder / checkpoint.RECORD)


@app.command()
def results(
    folder: Annotated[
        Path | None, typer.Argument(help="A folder with records. Default: those of the course.")
    ] = None,
) -> None:
    """Print tables of recorded runs in Markdown: time, images per second, accuracies, spread."""
    from .studies import results

    if not (tables := results.markdown(folder or results.RECORDS)):
        fail(f"no records of runs in {folder}")
    typer.echo(tables)


@app.command("cost")
def cost_command(
    model: Annotated[str, typer.Argument(help="A network, such as googlenet.")],
    size: Annotated[
        int | None,
        typer.Option(min=1, help="Side of the images in pixels. Default: the paper's."),
    ] = None,
    channels: Annotated[int, typer.Option(min=1, help="3 for color, 1 for gray.")] = 3,
    classes: Annotated[int, typer.Option(min=1, help="Number of classes.")] = 1000,
) -> None:
    """Count what a network costs, layer by layer, beside what its paper says."""
    import torch

    from . import cost, models
    from .models.googlenet import PRINTED

    options = {"image_size": size} if size and "image_size" in models.options_of(model) else {}
    with torch.device("meta"):
        network = models.create(model, num_classes=classes, in_channels=channels, **options)
    size = size or network.image_size
    printed = PRINTED if model == "googlenet" else None
    typer.echo(f"{model}, images of {channels} x {size} x {size}, {many(classes, 'class')}")
    typer.echo(cost.report(cost.table(network, (channels, size, size)), printed))
    typer.echo("sees: the receptive field in pixels, on the widest way; memory: float32, one image")
    if printed:
        typer.echo(
            "paper: Table 1 for 3 x 224 x 224 and 1000 classes, without biases; K is 1,024, and "
            "conv2 includes conv2_reduce"
        )


@app.command()
def study(
    name: Annotated[
        str | None, typer.Argument(help="A study. Without a name, all of them are listed.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The record; an unfinished one is resumed. Default: runs/NAME.json."),
    ] = None,
    workers: Annotated[
        int, typer.Option(min=1, help="Trainings side by side, which share the cores.")
    ] = 1,
    minutes: Minutes = FOREVER,
) -> None:
    """Measure what the lectures show: train every variant with every seed, into one record."""
    from . import studies

    if name is None:
        width = max(map(len, studies.STUDIES))
        for each in studies.STUDIES.values():
            typer.echo(f"{each.name:{width}}  {each.about}")
        return
    if name not in studies.STUDIES:
        fail(f"unknown study {name!r}: valid are {', '.join(studies.STUDIES)}")
    chosen = studies.STUDIES[name]
    path = out or Path("runs", f"{name}.json")
    typer.echo(f"{chosen.about} Each is told when it ends.")
    try:
        result = studies.run(
            chosen,
            path,
            workers=workers,
            seconds=60 * minutes,
            on_done=lambda measured: typer.echo(chosen.sentence(measured)),
        )
    except KeyboardInterrupt as stop:  # `fit` raises its own, which knows of SIGTERM, too
        typer.echo(
            f"Stopped. The trainings that had ended are in {path}; the same command continues.",
            err=True,
        )
        raise typer.Exit(128 + getattr(stop, "signal", signal.SIGINT)) from None
    done, total = len(result.trainings), len(chosen.units())
    typer.echo(f"{done} of {many(total, 'training')} are in {path}.")
    if done < total:
        raise typer.Exit(1)


@app.command()
def crops(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs, one or more.")],
    out: Annotated[Path, typer.Option(help="The record; an unfinished one is resumed.")],
    split: Annotated[str, typer.Option(help="train, val or test.")] = "val",
    count: Annotated[int | None, typer.Option(help="The first N images of the split.")] = None,
    views: Annotated[
        list[int] | None, typer.Option(help="1, 10 or 144; may be repeated. Default: all.")
    ] = None,
    sample: Sample = None,
    root: Root = None,
    minutes: Minutes = FOREVER,
) -> None:
    """Measure what several views and several networks together gain, and what they cost."""
    from torch.utils.data import TensorDataset

    from . import evaluate as evaluation
    from .studies import ensembles

    known = evaluation.FASHION
    if unknown := set(views or ()) - known.keys():
        fail(f"--views is one of {', '.join(map(str, known))}, not {min(unknown)}")
    dataset = data.fashion_mnist(split, sample=sample, root=root)
    if count is not None and not 1 <= count <= len(dataset):
        fail(f"--count must be 1 to {len(dataset)}, not {count}")
    dataset = TensorDataset(*(tensor[:count] for tensor in dataset.tensors))
    table = ensembles.measure(
        runs,
        dataset,
        f"{split}, packaged sample" if sample else split,
        out,
        protocols={each: known[each] for each in views or known},
        seconds=60 * minutes,
        progress=progress_bar,
        watch=typer.echo,
    )
    typer.echo(f"{'models':>6} {'views':>5} {'cost':>5} {'error':>7} {'against base':>18}  ECE")
    for row in table.rows:
        change = f"{row.difference:+.2%} ± {row.uncertainty:.2%}"
        typer.echo(
            f"{row.models:6} {row.crops:5} {row.cost:5} {row.error:7.2%} {change:>18}  "
            f"{row.calibration_error:.3f}"
        )
    if len(table.rows) < len(runs) * len(table.settings["protocols"]):
        typer.echo(f"Not finished: run the same command again to resume {out}.")
        raise typer.Exit(1)


@app.command("bench")
def bench_command(
    quick: Annotated[
        bool, typer.Option("--quick", help="Tiny networks and images: a trial in seconds.")
    ] = False,
    repeats: Annotated[int, typer.Option(min=1, help="Rounds; each measures everything once.")] = 3,
    train: Annotated[
        bool,
        typer.Option(
            "--train", help="Train sprint, quick and modern here; otherwise their records are read."
        ),
    ] = False,
    root: Root = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the results. Default: runs/bench-TIME.")
    ] = None,
) -> None:
    """Measure how fast this machine trains, beside d2l's loop; save bench.json and bench.png."""
    from . import plots
    from .studies import bench

    folder = out or checkpoint.new_folder("bench")
    record = folder / "bench.json"
    if record.exists():
        fail(f"{record} already holds a result: take another folder")
    with records.claimed(record):
        result = bench.run(
            bench.QUICK if quick else bench.FULL,
            repeats=repeats,
            train_recipes=train,
            root=root,
            watch=typer.echo,
            progress=progress_bar,
        )
        records.save(result, record)
    machine.write_atomically(folder / "bench.png", plots.bench(result).png())
    typer.echo(f"{bench.report(result)}\nRecord and figure are in {folder}.")


@data_app.command()
def where(root: Root = None) -> None:
    """Say where the full data was found; nothing is changed."""
    source = data.find(root)
    if source.kind == "download":
        fail("not found. `python -m inception_course data fetch` downloads it (31 MB)")
    typer.echo(f"{source.kind}: {source.folder}")


@data_app.command()
def fetch(
    folder: Annotated[
        Path | None, typer.Argument(help="A folder. Default: the user's cache.")
    ] = None,
) -> None:
    """Download Fashion-MNIST and verify its SHA-256."""
    typer.echo(f"complete and verified: {data.fetch(folder)}")


@data_app.command()
def sample(
    folder: Annotated[
        Path, typer.Argument(help="A folder. Default: the package itself.")
    ] = data.SAMPLE,
    root: Root = None,
) -> None:
    """Cut the sample of the package from the full data."""
    typer.echo(f"written and verified: {data.write_sample(folder, root=root)}")


def open_split(
    split: str, sample: int | None, root: Path | None, images: Path | None, workers: int
) -> data.Dataset:
    if images is None:
        return data.fashion_mnist(split, sample=sample, root=root)
    if sample or root:
        fail("--images takes the place of Fashion-MNIST: leave out --sample and --root")
    return folders.open_folder(images, split, workers=workers)


def classes_of(dataset: data.Dataset) -> tuple[str, ...]:
    return getattr(dataset, "classes", data.CLASSES)


def check_classes(network: nn.Module, dataset: data.Dataset, images: Path | None) -> None:
    known = vars(network)["classes"]
    if known != classes_of(dataset):
        fail(
            f"this network knows {', '.join(known)}, and other classes are in "
            f"{images or 'Fashion-MNIST: name its pictures by --images'}"
        )


def many(count: int, name: str) -> str:
    """Write a number of things: 1 epoch, 2 epochs, 10 classes."""
    plural = f"{name}es" if name.endswith("s") else f"{name}s"
    return f"{count} {name if count == 1 else plural}"


def fail(message: str) -> NoReturn:
    typer.echo(f"Error: {message}", err=True)
    raise typer.Exit(1)


def ours(error: ValueError) -> bool:
    """Tell whether the course itself raised the error: about something that the reader gave."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return Path(frame.f_code.co_filename).is_relative_to(Path(__file__).parent)


def main() -> None:
    """Run the command line; tell errors that a reader can repair in a sentence, not a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name that the console cannot write
    try:
        app()
    except ImportError as error:
        doctor.give_up(error)
    except (data.DataError, checkpoint.CheckpointError, training.Diverged, ValueError) as error:
        if isinstance(error, ValueError) and not ours(error):
            raise
        if processes.is_first():
            typer.echo(f"Error: {error}", err=True)
        raise SystemExit(1) from None
    except OSError as error:
        if error.filename is None:
            raise
        typer.echo(
            f"Error: {error.filename} cannot be used ({error.strerror}): name another place",
            err=True,
        )
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
