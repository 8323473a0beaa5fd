"""The family of networks as a picture."""

from typing import Any, NamedTuple

from .guess import mark_choice, mark_words, read
from .style import BLUE, ORANGE, Picture, in_style, powers


class Member(NamedTuple):
    """A network of the family; its numbers are those of its form for ImageNet, if it has one."""

    name: str
    year: int
    place: tuple[float, float]  # column and row in the picture
    parents: tuple[str, ...]
    top5_error: float | None = None  # per cent, one network
    parameters: float | None = None  # millions
    multiply_adds: float | None = None  # billions
    crops: str = ""  # where it is not the mean over ten crops

    def facts(self) -> tuple[str, ...]:
        if self.top5_error is None:
            return ("no ImageNet result",)
        return (
            f"error {self.top5_error} %" + (f" ({self.crops})" if self.crops else ""),
            f"{self.parameters:.1f} M parameters",
            f"{self.multiply_adds:.1f} G multiply-adds",
        )


# Parameters and multiply-adds of the course's networks, for images of 224x224 (AlexNet 227,
# Inception-v3 and later 299), as `cost.table` counts them. Top-5 errors are of ten crops where
# there are such: AlexNet paper, one CNN, validation; GoogLeNet paper, Table 3; ResNet paper for
# VGG-16 and ResNet-50. The others are as printed: ZFNet paper, one net; BN paper, Figure 4;
# Rethinking paper, Table 3; Inception-v4 paper, Table 2, on validation images without those on a
# blacklist; Xception paper, Table 1.
# fmt: off
FAMILY = (
    #       name           year  place   from                      top-5  params   work
    Member("AlexNet",      2012, (0, 1), (),                        18.2,  60.97,  0.72),
    Member("ZFNet",        2013, (1, 2), ("AlexNet",),              16.5,  62.36,  1.17, "crops ?"),
    Member("NiN",          2013, (1, 0), ("AlexNet",)),
    Member("VGG-16",       2014, (2, 2), ("ZFNet",),                9.33, 138.36, 15.47),
    Member("GoogLeNet",    2014, (2, 0), ("NiN",),                  9.15,   7.00,  1.58),
    Member("BN-Inception", 2015, (3, 0), ("GoogLeNet",),            7.82,  11.19,  2.02, "1 crop"),
    Member("Inception-v3", 2015, (4, 0), ("BN-Inception",),          5.6,  23.83,  5.71, "1 crop"),
    Member("ResNet-50",    2015, (3.6, 2), ("VGG-16", "BN-Inception"),6.71,  25.56,  3.86),
    Member("Inception-v4", 2016, (5, 0), ("Inception-v3",),          5.0,  42.68, 12.25, "1 crop"),
    Member("Xception",     2016, (4, 1), ("Inception-v3",),          5.5,  22.86,  8.36, "1 crop"),
    Member("Inception-ResNet-v2",
                           2016, (5, 1), ("Inception-v4", "ResNet-50"),
                                                                     4.9,  55.84, 13.16, "1 crop"),
)
# fmt: on

# Names that do not fit on the right of their points: to the right and up, in points; aligned.
ASIDE = {
    "Inception-v3": (-12, 0, "right"),
    "Xception": (0, -20, "center"),
    "Inception-v4": (0, 28, "center"),
}


@in_style
def family_tree(guess: Any = None) -> Picture:
    """Draw which network came from which, what each costs and how large its error is.

    `guess` is the expected number of GoogLeNet's parameters, in full or in millions.
    """
    members = "; ".join(
        f"{member.name} {member.year}"
        + (f" from {' and '.join(member.parents)}" if member.parents else "")
        + (
            f" ({member.top5_error} %, {member.parameters:.1f} M, {member.multiply_adds:.1f} G)"
            if member.parameters and member.multiply_adds
            else " (no ImageNet result)"
        )
        for member in FAMILY
    )
    figure = Picture(
        13.6,
        5.8,
        f"the family tree with top-5 errors, parameters and multiply-adds: {members}",
        caption="Top-5 errors, with ten crops where nothing else is said. Follow the arrows.",
    )
    axes = figure.subplots()
    axes.set(xlim=(-0.5, 5.6), ylim=(-0.55, 2.55))
    axes.set_axis_off()
    boxes = {}
    for member in FAMILY:
        shown = member.name.replace("-ResNet", "-\nResNet")
        inception = "Inception" in member.name or member.name in ("GoogLeNet", "Xception")
        boxes[member.name] = axes.text(
            *member.place,
            "\n".join((f"{shown} ({member.year})", *member.facts())),
            fontsize=12,
            ha="center",
            va="center",
            linespacing=1.5,
            bbox={
                "boxstyle": "round,pad=0.5",
                "facecolor": "#FFF3D6" if inception else "#EEF4F8",
                "edgecolor": ORANGE if inception else BLUE,
                "linewidth": 3 if inception else 1.5,
            },
        )
    for member in FAMILY:
        for parent in member.parents:
            start, end = boxes[parent], boxes[member.name]
            arrow = {"arrowstyle": "-|>", "color": "#777777", "lw": 2.5}
            arrow |= {"patchA": start.get_bbox_patch(), "patchB": end.get_bbox_patch()}
            axes.annotate("", member.place, start.get_position(), arrowprops=arrow, zorder=5)
    unit = "" if (read(guess) or 0) > 1e4 else " M"
    mark_words(figure, axes, guess, f"{unit} parameters", near=boxes["GoogLeNet"])
    return figure


@in_style
def error_over_work(guess: Any = None) -> Picture:
    """Draw top-5 errors against multiply-adds; the area of a point is the number of parameters.

    Points are hollow where the error is not one of ten crops. `guess` names a network.
    """
    counted = [
        (m.name, m.multiply_adds, m.top5_error, m.parameters, m.crops)
        for m in FAMILY
        if m.top5_error and m.multiply_adds and m.parameters
    ]
    figure = Picture(
        11,
        6,
        "top-5 error over billions of multiply-adds: "
        + "; ".join(f"{name} {error} % at {work:.1f} G" for name, work, error, *_ in counted),
        caption="Area is parameters; hollow points are not ten crops. Which would you never buy?",
    )
    axes = figure.subplots()
    names = {}
    for name, work, error, parameters, crops in counted:
        face = "none" if crops else BLUE
        axes.scatter(work, error, s=8 * parameters, facecolor=face, edgecolor=BLUE, linewidth=2.5)
        away = 8 + 1.5 * parameters**0.5
        right, up, aligned = ASIDE.get(name, (away, 0, "left"))
        names[name] = axes.annotate(
            name, (work, error), (right, up), textcoords="offset points", va="center", ha=aligned
        )
    axes.set(
        xlabel="billion multiply-adds for an image",
        ylabel="top-5 error, %",
        xscale="log",
        xlim=(0.4, 60),
        ylim=(0, 21),
    )
    powers(axes.xaxis, (2, 5))
    axes.grid(alpha=0.3)
    mark_choice(figure, axes, guess, names)
    return figure
