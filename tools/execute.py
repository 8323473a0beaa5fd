"""Run notebooks from the top in a fresh kernel and store what they show.

    python tools/execute.py notebooks/*.ipynb

Running it twice changes nothing but times and pictures: whatever a machine would leave behind
(its name, versions, clock times, widget ids) is removed. A notebook that fails, or writes to
stderr, is left as it was.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

import matplotlib.font_manager  # noqa: F401 - builds its cache here, not in a notebook's output
import memory
import nbformat
from nbclient import NotebookClient
from nbclient.output_widget import OutputWidget

METADATA = {
    "kernelspec": {
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
        "name": "python3",
    },
    "language_info": {"name": "python"},
}
CELL_METADATA = {"jupyter", "slideshow", "tags"}
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
CELL_TIMEOUT = 1800


class QuietOutput(OutputWidget):
    """An Output widget that collects what is printed, and does not tell the kernel.

    What nbclient's own sends to a busy kernel makes it hang now and then (jupyter/nbclient#312).
    """

    def send(self, *args, **kwargs):
        pass


class NotClean(Exception):
    """A notebook ran to its end but must not be stored."""


def execute(path):
    """Run one notebook in place; gives its seconds and peak memory in bytes (None: unknown)."""
    notebook = nbformat.read(path, as_version=4)
    peaks = []
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT,
        extra_arguments=["--log-level=40"],  # of the kernel: errors, no advice on encryption
        kernel_name=METADATA["kernelspec"]["name"],
        resources={"metadata": {"path": str(path.parent)}},
        on_cell_executed=lambda **_: peaks.append(memory.peak(client.km.provisioner.pid)),
    )
    client.widget_registry["@jupyter-widgets/output"]["OutputModel"] = QuietOutput
    started = time.perf_counter()
    client.execute()
    seconds = time.perf_counter() - started
    for cell in code(notebook):
        refuse_stderr(cell.outputs)
    for widget in client.widget_state.values():
        refuse_stderr(widget.get("outputs", []))
        refuse_error(widget.get("outputs", []))
    clean(notebook)
    replace(path, nbformat.writes(notebook) + "\n")
    return seconds, max(filter(None, peaks), default=None)


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def refuse_stderr(outputs):
    for output in outputs:
        if output["output_type"] == "stream" and output["name"] == "stderr":
            raise NotClean(f"a cell wrote to stderr:\n{output['text']}")


def refuse_error(outputs):
    """Raise the error that an Output widget has caught: the cell seems to have ended well."""
    for output in outputs:
        if output["output_type"] == "error":
            raise NotClean(f"inside a widget: {output['ename']}: {output['evalue']}")


def clean(notebook):
    """Keep what the reader sees and the tests use; drop what changes with the machine."""
    kept = {key: notebook.metadata[key] for key in ("course",) if key in notebook.metadata}
    notebook.metadata = nbformat.from_dict(METADATA | kept)
    for cell in notebook.cells:
        cell.metadata = {key: cell.metadata[key] for key in CELL_METADATA & set(cell.metadata)}
    for cell in code(notebook):
        for output in cell.outputs:
            output.get("data", {}).pop(WIDGET_VIEW, None)


def replace(path, text):
    """Write all or nothing: a reader never finds half a notebook."""
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", newline="\n", dir=path.parent, suffix=".tmp", delete=False
    ) as draft:
        draft.write(text)
    Path(draft.name).chmod(path.stat().st_mode)
    Path(draft.name).replace(path)


def main(paths):
    failed = 0
    for path in map(Path, paths):
        try:
            seconds, peak = execute(path)
        except Exception as error:
            failed += 1
            print(f"{path}: not stored: {error}", file=sys.stderr)
        else:
            used = "memory not measured" if peak is None else f"{peak / 1e6:.0f} MB"
            print(f"{path}: {seconds:.1f} s, {used}", flush=True)
    return failed


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="ipython-") as folder:
        os.environ["IPYTHONDIR"] = folder  # no start-up files, no history of whoever runs this
        sys.exit(bool(main(sys.argv[1:])))
