"""The family of networks as a picture."""

from typing import NamedTuple

from .style import BLUE, ORANGE, Picture, in_style


class Member(NamedTuple):
    """A network of the family, in its form for ImageNet, if it has one."""

    name: str
    year: int
    place: tuple[int, int]  # column and row in the picture
    parents: tuple[str, ...]
    top5_error: float | None = None  # per cent, one network, as its own paper prints it
    parameters: float | None = None  # millions
    multiply_adds: float | None = None  # billions

    def facts(self) -> tuple[str, ...]:
        if self.top5_error is None:
            return ("no ImageNet result",)
        return (
            f"top-5 error {self.top5_error} %",
            f"{self.parameters:.1f} M parameters",
            f"{self.multiply_adds:.1f} G multiply-adds",
        )


# Parameters and multiply-adds of the course's networks, for images of 224x224 (AlexNet 227,
# Inception-v3 299), as `cost.table` counts them. Top-5 errors are as printed: AlexNet paper, one
# CNN, validation; ZFNet paper, one net; VGG paper, configuration D, one scale; GoogLeNet paper,
# Table 3; BN paper, Figure 4; Rethinking paper, Table 3; ResNet paper, ten crops. They differ in
# crops and scales.
# fmt: off
FAMILY = (
    #       name           year   place   from                        top-5   params  mult-adds
    Member("AlexNet",      2012, (0, 1), (),                          18.2,    60.97,   0.72),
    Member("ZFNet",        2013, (1, 2), ("AlexNet",),                16.5,    62.36,   1.17),
    Member("NiN",          2013, (1, 0), ("AlexNet",)),
    Member("VGG-16",       2014, (2, 2), ("ZFNet",),                   8.1,   138.36,  15.47),
    Member("GoogLeNet",    2014, (2, 0), ("NiN",),                    10.07,    7.00,   1.58),
    Member("BN-Inception", 2015, (3, 0), ("GoogLeNet",),               7.82,   11.19,   2.02),
    Member("Inception-v3", 2015, (4, 0), ("BN-Inception",),            5.6,    23.83,   5.71),
    Member("ResNet-50",    2015, (4, 2), ("VGG-16", "BN-Inception"),   6.71,   25.56,   3.86),
)
# fmt: on


@in_style
def family_tree() -> Picture:
    """Draw which network came from which, what each costs and how often it errs."""
    members = "; ".join(
        f"{member.name} {member.year}"
        + (f" from {' and '.join(member.parents)}" if member.parents else "")
        + f" ({', '.join(member.facts())})"
        for member in FAMILY
    )
    figure = Picture(13.5, 6.4, f"the family tree: {members}")
    axes = figure.subplots()
    axes.set(xlim=(-0.5, 4.5), ylim=(-0.55, 2.55))
    axes.set_axis_off()
    boxes = {}
    for member in FAMILY:
        inception = member.name in ("GoogLeNet", "BN-Inception", "Inception-v3")
        boxes[member.name] = axes.text(
            *member.place,
            "\n".join((f"{member.name} ({member.year})", *member.facts())),
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
    return figure
