"""The command line: python -m inception_course, then one of the commands below."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from torch import nn

from . import data, machine
from .lessons import doctor
from .train import checkpoint

if TYPE_CHECKING:
    from .train import Recipe

app = typer.Typer(
    help="The Inception Course: check this machine, train, evaluate, count, find the data.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(help="Where the data is, fetch it, cut the packaged sample.")
app.add_typer(data_app, name="data", no_args_is_help=True)

Root = Annotated[Path | None, typer.Option(help="Folder with the four files of Fashion-MNIST.")]
Sample = Annotated[
    int | None, typer.Option(help="Use N images of the packaged sample; needs no download.")
]
Images = Annotated[
    Path | None,
    typer.Option(help="Your own pictures, a folder for each class, not Fashion-MNIST."),
]
Workers = Annotated[int, typer.Option(help="Processes that read pictures, besides this one.")]


@app.command("doctor")
def doctor_command() -> None:
    """Is this machine ready for the course, and if not, what to do?"""
    checks = doctor.examine()
    typer.echo(doctor.report(checks))
    raise typer.Exit(bool(doctor.failed(checks)))


@app.command()
def train(
    model: Annotated[
        str | None, typer.Option(help="A network, such as googlenet_bn; default the recipe's.")
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            help="How to train: quick, sprint, d2l, modern, overnight, restart, paper_2014 or pictures."
        ),
    ] = None,
    init_from: Annotated[
        Path | None, typer.Option(help="The run whose trained network the recipe begins with.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Instead of the recipe's.")] = None,
    seed: Annotated[
        int, typer.Option(help="Decides every random draw, and the initial weights.")
    ] = 0,
    initial_seed: Annotated[
        int | None, typer.Option(help="Decides the initial weights, instead of --seed.")
    ] = None,
    sample: Sample = None,
    root: Root = None,
    images: Images = None,
    workers: Workers = 0,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the results; default runs/MODEL-RECIPE-TIME.")
    ] = None,
    resume: Annotated[bool, typer.Option(help="Resume the run in --out.")] = False,
    allow_changes: Annotated[
        bool, typer.Option(help="Resume even if it had another recipe or other data.")
    ] = False,
) -> None:
    """Train a network; saves its record, weights and learning curves.

    On Fashion-MNIST by the recipe "quick", or on --images by "pictures", unless another is named.
    Under torchrun, which starts it several times, the processes share the work; name --out then.
    """
    import torch
    from tqdm import tqdm

    from . import models, plots
    from . import train as training
    from .train import processes

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

    val_count = sample and min(sample, data.SAMPLE_SIZES["val"])
    train_set = open_split("train", sample, root, images, workers)
    val_set = open_split("val", val_count, root, images, workers)
    classes = classes_of(train_set)
    if images:
        options = options | {"in_channels": 3, "num_classes": len(classes)}

    torch.manual_seed(seed if initial_seed is None else initial_seed)
    device, sentence = machine.pick_device()
    if chosen.init_from or init_from:
        network = left_by(chosen, model, init_from)
        check_classes(network, train_set, images)
    else:
        network = models.create(model, **options)
    count = min(len(train_set), chosen.train_images or len(train_set))
    say(f"{model}, recipe {recipe}: {count} images, {chosen.epochs} epochs.")
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

    def progress(batches):
        return tqdm(batches, unit="batch", leave=False, disable=None)

    try:
        with processes.process_group(device) as mine:
            run = training.fit(
                network.to(mine),
                train_set,
                val_set,
                chosen,
                network={"model": model, "options": options},
                on_epoch_end=tell,
                progress=progress,
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
        raise typer.Exit(1)


@app.command()
def evaluate(
    folder: Annotated[Path, typer.Argument(help="What `train` made.")],
    split: Annotated[str, typer.Option(help="train, val or test.")] = "test",
    sample: Sample = None,
    root: Root = None,
    images: Images = None,
    workers: Workers = 0,
) -> None:
    """How often is a trained network right, in all and class by class?

    The accuracy on the whole test set is kept in the run's record.
    """
    from tqdm import tqdm

    from . import evaluate as evaluation
    from .train import load_trained

    network, run = load_trained(folder)
    dataset = open_split(split, sample, root, images, workers)
    check_classes(network, dataset, images)
    labels = data.targets(dataset)
    logits = evaluation.predict(
        network,
        dataset,
        size=run.recipe.image_size,
        progress=lambda b: tqdm(b, leave=False, disable=None),
    )
    right = (logits.argmax(dim=1) == labels).float()
    typer.echo(f"{split}: accuracy {right.mean():.4f} on {len(labels)} images")
    for label, name in enumerate(vars(network)["classes"]):
        if (labels == label).any():
            typer.echo(f"  {name:12} {right[labels == label].mean():.3f}")
    if split == "test" and sample is None:
        run = replace(run, test_accuracy=round(right.mean().item(), 6))
        machine.write_atomically(folder / checkpoint.RECORD, run.to_json().encode())


@app.command()
def results(
    folder: Annotated[Path, typer.Argument(help="Records, such as notebooks/records.")],
) -> None:
    """Tables in Markdown of recorded runs: time, images per second, accuracies, spread."""
    from .studies import results

    if not (tables := results.markdown(folder)):
        fail(f"no records of runs in {folder}")
    typer.echo(tables)


@app.command("cost")
def cost_command(
    model: Annotated[str, typer.Argument(help="A network, such as googlenet.")],
    size: Annotated[
        int | None, typer.Option(help="Side of the images in pixels; default the paper's.")
    ] = None,
    channels: Annotated[int, typer.Option(help="3 for colour, 1 for grey.")] = 3,
    classes: Annotated[int, typer.Option(help="Classes to tell apart.")] = 1000,
) -> None:
    """What does a network cost, layer by layer, and what does its paper say?"""
    import torch

    from . import cost, models

    options = {"image_size": size} if size and "image_size" in models.options_of(model) else {}
    with torch.device("meta"):
        network = models.create(model, num_classes=classes, in_channels=channels, **options)
    size = size or network.image_size
    printed = models.googlenet.PRINTED if model == "googlenet" else None
    typer.echo(f"{model}, images of {channels} x {size} x {size}, {classes} classes")
    typer.echo(cost.report(cost.table(network, (channels, size, size)), printed))
    typer.echo("sees: the receptive field in pixels, on the widest way; memory: float32, one image")
    if printed:
        typer.echo(
            "paper: Table 1 for 3 x 224 x 224 and 1000 classes, without biases; K is 1,024, and "
            "conv2 includes conv2_reduce"
        )


@app.command()
def experiment(
    name: Annotated[str, typer.Argument(help="An experiment; a wrong name lists them.")],
    out: Annotated[Path, typer.Argument(help="The record; an unfinished one is resumed.")],
    workers: Annotated[int, typer.Option(help="Trainings side by side, a core each.")] = 1,
    minutes: Annotated[
        float, typer.Option(help="Start no training after this many minutes; run again to resume.")
    ] = float("inf"),
) -> None:
    """Train every variant of an experiment with every seed; saves one record of all."""
    from .studies import experiment as experiments

    if name not in experiments.EXPERIMENTS:
        fail(f"unknown experiment {name!r}: valid are {', '.join(experiments.EXPERIMENTS)}")
    chosen = experiments.EXPERIMENTS[name]

    def watch(training: experiments.Training) -> None:
        end = "" if training.diverged is None else f", diverged at step {training.diverged}"
        typer.echo(
            f"{training.variant}, seed {training.seed}: best validation accuracy "
            f"{training.best:.4f}, at the end {training.last:.4f}{end}, {training.seconds:.0f} s"
        )

    result = experiments.run(chosen, out, workers=workers, seconds=60 * minutes, watch=watch)
    total = len(chosen.variants) * len(chosen.seeds)
    typer.echo(f"{len(result.trainings)} of {total} trainings are in {out}.")
    if len(result.trainings) < total:
        raise typer.Exit(1)


@app.command()
def crops(
    folders: Annotated[list[Path], typer.Argument(help="What `train` made, one or more.")],
    out: Annotated[Path, typer.Option(help="The record; an unfinished one is resumed.")],
    split: Annotated[str, typer.Option(help="train, val or test.")] = "val",
    images: Annotated[int | None, typer.Option(help="The first N images of the split.")] = None,
    views: Annotated[
        list[int] | None, typer.Option(help="1, 10 or 144; may be repeated. Default all.")
    ] = None,
    sample: Sample = None,
    root: Root = None,
    minutes: Annotated[
        float,
        typer.Option(help="Begin no more images after this many minutes; run again to resume."),
    ] = float("inf"),
) -> None:
    """What do several views buy, and several networks, and what do they cost?"""
    from torch.utils.data import TensorDataset
    from tqdm import tqdm

    from . import evaluate as evaluation
    from .studies import ensembles

    known = evaluation.FASHION
    if unknown := set(views or ()) - known.keys():
        fail(f"--views is one of {', '.join(map(str, known))}, not {min(unknown)}")
    dataset = data.fashion_mnist(split, sample=sample, root=root)
    if images is not None and not 1 <= images <= len(dataset):
        fail(f"--images must be 1 to {len(dataset)}, not {images}")
    dataset = TensorDataset(*(tensor[:images] for tensor in dataset.tensors))
    table = ensembles.measure(
        folders,
        dataset,
        f"{split}, packaged sample" if sample else split,
        out,
        protocols={count: known[count] for count in views or known},
        seconds=60 * minutes,
        progress=lambda batches: tqdm(batches, unit="batch", leave=False, disable=None),
        watch=typer.echo,
    )
    typer.echo(f"{'models':>6} {'views':>5} {'cost':>5} {'error':>7} {'against base':>18}  ECE")
    for row in table.rows:
        change = f"{row.difference:+.2%} ± {row.uncertainty:.2%}"
        typer.echo(
            f"{row.models:6} {row.crops:5} {row.cost:5} {row.error:7.2%} {change:>18}  "
            f"{row.calibration_error:.3f}"
        )
    if len(table.rows) < len(folders) * len(table.settings["protocols"]):
        typer.echo(f"Not finished: run the same command again to resume {out}.")
        raise typer.Exit(1)


@app.command("bench")
def bench_command(
    quick: Annotated[
        bool, typer.Option("--quick", help="Tiny networks and images, to see that it works.")
    ] = False,
    repeats: Annotated[int, typer.Option(help="Rounds of every measurement, in turns.")] = 3,
    train: Annotated[
        bool,
        typer.Option(
            "--train", help="Train sprint, quick and modern instead of reading their records."
        ),
    ] = False,
    root: Root = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the results; default runs/bench-TIME.")
    ] = None,
) -> None:
    """How fast does this machine train, beside d2l's loop? Saves bench.json and bench.png."""
    from tqdm import tqdm

    from . import plots
    from .studies import bench

    folder = out or checkpoint.new_folder("bench")
    record = folder / "bench.json"
    if record.exists():
        fail(f"{record} already holds a result: take another folder")
    folder.mkdir(parents=True, exist_ok=True)
    result = bench.run(
        bench.QUICK if quick else bench.FULL,
        repeats=repeats,
        train_recipes=train,
        root=root,
        watch=typer.echo,
        progress=lambda batches: tqdm(batches, unit="batch", leave=False, disable=None),
    )
    machine.write_atomically(record, result.to_json().encode())
    machine.write_atomically(folder / "bench.png", plots.bench(result).png())
    typer.echo(f"{bench.report(result)}\nRecord and figure are in {folder}.")


@data_app.command()
def where(root: Root = None) -> None:
    """Where the full data was found; changes nothing."""
    place = data.find(root)
    if place.kind == "download":
        fail("not found. `python -m inception_course data fetch` downloads it (31 MB)")
    typer.echo(f"{place.kind}: {place.folder}")


@data_app.command()
def fetch(
    folder: Annotated[Path | None, typer.Argument(help="Default: the user's cache.")] = None,
) -> None:
    """Download Fashion-MNIST, checked by its SHA-256."""
    typer.echo(f"complete and verified: {data.fetch(folder)}")


@data_app.command()
def sample(
    folder: Annotated[Path, typer.Argument(help="Default: the package itself.")] = data.SAMPLE,
    root: Root = None,
) -> None:
    """Cut the packaged sample from the full data."""
    typer.echo(f"written and verified: {data.write_sample(folder, root=root)}")


def open_split(
    split: str, sample: int | None, root: Path | None, images: Path | None, workers: int
) -> data.Dataset:
    if images is None:
        return data.fashion_mnist(split, sample=sample, root=root)
    if sample or root:
        fail("--images takes the place of Fashion-MNIST: leave out --sample and --root")
    from .data import folders

    return folders.open_folder(images, split, workers=workers)


def left_by(recipe: "Recipe", model: str, folder: Path | None) -> nn.Module:
    """The network in `folder`, if it is what `recipe` begins with."""
    from .train import load_trained

    if recipe.init_from is None:
        fail(f"recipe {recipe.name} begins with new weights: leave out --init-from")
    wanted = f"recipe {recipe.name} begins with a {model} trained by {recipe.init_from}"
    if folder is None:
        fail(f"{wanted}: name the folder of its run with --init-from")
    network, run = load_trained(folder)
    trained = (run.network or {}).get("model")
    if (run.recipe.name, trained) != (recipe.init_from, model):
        fail(f"{wanted}, and {folder} holds a {trained} trained by {run.recipe.name}")
    return network


def classes_of(dataset: data.Dataset) -> tuple[str, ...]:
    return getattr(dataset, "classes", data.CLASSES)


def check_classes(network: nn.Module, dataset: data.Dataset, images: Path | None) -> None:
    known = vars(network)["classes"]
    if known != classes_of(dataset):
        fail(
            f"this network knows {', '.join(known)}, and other classes are in "
            f"{images or 'Fashion-MNIST: name its pictures by --images'}"
        )


def fail(message: str) -> NoReturn:
    typer.echo(f"Error: {message}", err=True)
    raise typer.Exit(1)


def main() -> None:
    """Run the command line; what a reader can mend is said in a sentence, without a traceback."""
    from .train import processes

    try:
        app()
    except (data.DataError, checkpoint.CheckpointError, ArithmeticError, ValueError) as error:
        if processes.is_first():
            typer.echo(f"Error: {error}", err=True)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
