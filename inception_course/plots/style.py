"""What every figure of the course is: a picture with its sentence, in colours all can tell apart.

A figure shows itself in a notebook, with its description as text for those who do not see it;
`describe` gives the same sentence. Colours are Okabe and Ito's, which colour-blind readers can tell
apart, and lines differ in more than colour. Nothing here changes matplotlib's settings.
"""

import base64
import html
import io

import matplotlib
from matplotlib.figure import Figure

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"

# Lines that differ in more than colour.
STYLES = (
    {"color": BLUE, "marker": "o", "linestyle": "-"},
    {"color": VERMILION, "marker": "s", "linestyle": "--"},
    {"color": GREEN, "marker": "^", "linestyle": "-."},
    {"color": PURPLE, "marker": "D", "linestyle": ":"},
)

# For a projector: read from the last row.
PROJECTOR = {
    "font.size": 14,
    "axes.titlesize": 15,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 2.5,
    "lines.markersize": 8,
    "figure.titlesize": 16,
    "legend.frameon": False,
}
DOTS_PER_INCH = 100
GREY = {"cmap": "gray", "vmin": 0, "vmax": 255, "interpolation": "nearest"}


class Picture(Figure):
    """A figure with the sentence that says what it shows."""

    def __init__(self, width: float, height: float, description: str = ""):
        super().__init__(figsize=(width, height), layout="constrained")
        self.description = description

    def png(self) -> bytes:
        buffer = io.BytesIO()
        with matplotlib.rc_context(PROJECTOR):
            self.savefig(buffer, format="png", dpi=DOTS_PER_INCH)
        return buffer.getvalue()

    def html(self) -> str:
        source = base64.b64encode(self.png()).decode()
        alt = html.escape(self.description)
        style = "max-width: 100%"  # never wider than its cell
        return f'<img alt="{alt}" style="{style}" src="data:image/png;base64,{source}">'

    def bundle(self) -> tuple[dict, dict]:
        """What a notebook stores: the picture, and its description as text and as `alt`."""
        picture = {"image/png": base64.b64encode(self.png()).decode()}
        return picture | {"text/plain": self.description}, {"image/png": {"alt": self.description}}

    def show(self):
        """Display the picture and its sentence; gives the picture's handle, for redrawing.

        JupyterLab leaves `alt` out of the page, so the sentence also stands below the picture. An
        <img> of HTML would keep it, but not everywhere that shows stored notebooks.
        """
        from IPython.display import Markdown, display

        data, metadata = self.bundle()
        handle = display(data, metadata=metadata, raw=True, display_id=True)
        display(Markdown(f"*Figure: {self.description}.*"))
        return handle

    def _ipython_display_(self) -> None:
        self.show()


class Note:
    """A sentence in place of something that cannot be shown."""

    def __init__(self, text: str):
        self.text = text

    def __repr__(self) -> str:
        return self.text


def describe(figure: Figure) -> str:
    """What a screen reader says in place of the figure."""
    if description := getattr(figure, "description", ""):
        return description
    titles = (axes.get_title() for axes in figure.axes)
    return "Figure: " + "; ".join(title for title in titles if title)
