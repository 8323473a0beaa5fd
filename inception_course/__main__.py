"""The command line: python -m inception_course, then one of the commands below."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from . import checkpoint, data, doctor

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
    int | None, typer.Option(help="Use so many images of the packaged sample, no download.")
]


@app.command("doctor")
def doctor_command() -> None:
    """Is this machine ready for the course, and if not, what to do?"""
    checks = doctor.examine()
    typer.echo(doctor.report(checks))
    raise typer.Exit(bool(doctor.failed(checks)))


@app.command()
def train(
    model: Annotated[str, typer.Option(help="A network, such as googlenet_bn.")] = "googlenet_bn",
    recipe: Annotated[str, typer.Option(help="quick, d2l or modern.")] = "quick",
    epochs: Annotated[int | None, typer.Option(help="Instead of the recipe's.")] = None,
    seed: Annotated[int, typer.Option(help="Of every draw, and of the first weights.")] = 0,
    initial_seed: Annotated[
        int | None, typer.Option(help="Of the first weights, instead of --seed.")
    ] = None,
    sample: Sample = None,
    root: Root = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the results; default runs/MODEL-RECIPE-TIME.")
    ] = None,
    resume: Annotated[bool, typer.Option(help="Go on with the run in --out.")] = False,
) -> None:
    """Train a network on Fashion-MNIST; saves its record, weights and learning curves."""
    import torch
    from tqdm import tqdm

    from . import models, plots
    from . import train as training

    if recipe not in training.RECIPES:
        fail(f"unknown recipe {recipe!r}: valid are {', '.join(training.RECIPES)}")
    chosen = replace(training.RECIPES[recipe], seed=seed)
    if epochs is not None:
        chosen = replace(chosen, epochs=epochs)
    folder = out or checkpoint.new_folder(f"{model}-{recipe}")

    torch.manual_seed(seed if initial_seed is None else initial_seed)
    device, sentence = doctor.pick_device()
    network = models.create(model, **chosen.network).to(device)
    val_count = sample and min(sample, data.SAMPLE_SIZES["val"])
    train_set = data.fashion_mnist("train", sample=sample, root=root)
    val_set = data.fashion_mnist("val", sample=val_count, root=root)
    typer.echo(f"{model}, recipe {recipe}: {len(train_set)} images, {chosen.epochs} epochs.")
    typer.echo(sentence)

    def watch(epoch: training.Epoch) -> None:
        typer.echo(
            f"epoch {epoch.number}: training loss {epoch.train_loss:.4f}, validation loss "
            f"{epoch.val_loss:.4f}, validation accuracy {epoch.val_accuracy:.4f}, "
            f"{epoch.seconds:.1f} s"
        )

    def progress(batches):
        return tqdm(batches, unit="batch", leave=False)

    run = training.fit(
        network,
        train_set,
        val_set,
        chosen,
        watch=watch,
        progress=progress,
        checkpoint=folder,
        resume=resume,
    )
    checkpoint.save_weights(folder / "weights.pt", network, model, chosen.network)
    data.write_atomically(folder / "curves.png", plots.learning_curves(run).png())
    typer.echo(f"{run}\nRecord, weights and curves are in {folder}.")
    if run.diagnosis:
        raise typer.Exit(1)


@app.command()
def evaluate(
    folder: Annotated[Path, typer.Argument(help="What `train` made.")],
    split: Annotated[str, typer.Option(help="train, val or test.")] = "test",
    sample: Sample = None,
    root: Root = None,
) -> None:
    """How often is a trained network right, in all and class by class?"""
    from tqdm import tqdm

    from . import evaluate as evaluation
    from .train import Run

    network = checkpoint.load_weights(folder / "weights.pt")
    run = Run.from_json((folder / checkpoint.RECORD).read_text())
    dataset = data.fashion_mnist(split, sample=sample, root=root)
    _, labels = dataset.tensors
    logits = evaluation.predict(
        network, dataset, size=run.recipe.image_size, progress=lambda b: tqdm(b, leave=False)
    )
    right = (logits.argmax(dim=1) == labels).float()
    typer.echo(f"{split}: accuracy {right.mean():.4f} on {len(labels)} images")
    for label, name in enumerate(data.CLASSES):
        if (labels == label).any():
            typer.echo(f"  {name:12} {right[labels == label].mean():.3f}")


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
    out: Annotated[Path, typer.Argument(help="The record; an unfinished one is gone on with.")],
    workers: Annotated[int, typer.Option(help="Trainings side by side, a core each.")] = 1,
    minutes: Annotated[
        float, typer.Option(help="Start no training after so many; run again to go on.")
    ] = float("inf"),
) -> None:
    """Train every variant of an experiment with every seed; saves one record of all."""
    from . import experiment as experiments

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


@app.command("bench")
def bench_command(
    quick: Annotated[
        bool, typer.Option("--quick", help="Tiny networks and images, to see that it works.")
    ] = False,
    repeats: Annotated[int, typer.Option(help="Rounds of every measurement, in turns.")] = 3,
    train: Annotated[
        bool,
        typer.Option(
            "--train", help="Train quick and modern anew instead of reading their records."
        ),
    ] = False,
    root: Root = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the results; default runs/bench-TIME.")
    ] = None,
) -> None:
    """How fast does this machine train, beside d2l's loop? Saves bench.json and bench.png."""
    from tqdm import tqdm

    from . import bench, plots

    folder = out or checkpoint.new_folder("bench")
    record = folder / "bench.json"
    if record.exists():
        fail(f"{record} already holds a result: take another folder")
    result = bench.run(
        bench.QUICK if quick else bench.FULL,
        repeats=repeats,
        train_recipes=train,
        root=root,
        watch=typer.echo,
        progress=lambda batches: tqdm(batches, unit="batch", leave=False),
    )
    folder.mkdir(parents=True, exist_ok=True)
    data.write_atomically(record, result.to_json().encode())
    data.write_atomically(folder / "bench.png", plots.bench(result).png())
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


def fail(message: str) -> None:
    typer.echo(f"Error: {message}", err=True)
    raise typer.Exit(1)


def main() -> None:
    """Run the command line; what a reader can mend is said in a sentence, without a traceback."""
    try:
        app()
    except (data.DataError, checkpoint.CheckpointError, ArithmeticError, ValueError) as error:
        typer.echo(f"Error: {error}", err=True)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
