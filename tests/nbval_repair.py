"""Make nbval compare a notebook as strictly as its reader would.

nbval 0.11 starts a kernel, runs the cells and compares text. What it gets wrong or cannot see is
mended here, by wrapping its kernel at the two places where messages pass:

- output that is cleared, redrawn or caught by a widget ends up as it does in JupyterLab, and a
  trailing `;` hides a value;
- a kernel that died is reported at once, as that; cells after a failure are reported as not run;
- stderr is a failure that shows its text; pictures and execution counts are compared;
- a notebook that takes more memory than its header promises fails; one that takes longer is told,
  since a busy machine is no fault of the notebook.
"""

import os
import signal
import time
from queue import Empty
from tempfile import TemporaryDirectory

import gate
import memory
import pytest
from nbformat import NotebookNode
from nbval.plugin import IPyNbCell, NbCellError

POLL_SECONDS = 0.5
WATCHES = pytest.StashKey[dict]()
USED = "used"  # the name of the property in which each cell says what its notebook has used so far
IPYTHON = pytest.StashKey[TemporaryDirectory]()


def pytest_configure(config):
    config.stash[WATCHES] = {}
    # Neither the history nor the start-up files of whoever runs the tests.
    config.stash[IPYTHON] = TemporaryDirectory(prefix="ipython-")
    os.environ["IPYTHONDIR"] = config.stash[IPYTHON].name


def pytest_unconfigure(config):
    if IPYTHON in config.stash:
        config.stash[IPYTHON].cleanup()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    if not isinstance(item, IPyNbCell):
        return (yield)
    watches = item.config.stash[WATCHES]
    if item.parent.nodeid not in watches:
        watches[item.parent.nodeid] = Watch(item.parent)
    watch = watches[item.parent.nodeid]
    watch.begin(item)
    try:
        result = yield
    except NbCellError as error:
        if not str(error).startswith(("Cell outputs differ", "Unrun reference")):
            watch.broken = f"Cell {item.cell_num} failed first: {str(error).splitlines()[0]}"
            raise
        check_stderr(item)  # says more than that outputs differ
        raise
    finally:
        watch.end()
        item.user_properties.append((USED, watch.summary()))
    check_stderr(item)
    check_error(item)
    check_pictures(item)
    watch.check_count()
    watch.check_memory()
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Put the reason into the first line, which is what pytest's summary shows."""
    report = yield
    if isinstance(item, IPyNbCell) and call.excinfo and call.excinfo.errisinstance(NbCellError):
        report.longrepr = f"{call.excinfo.value}\n{report.longrepr}"
    return report


def check_stderr(item):
    for output in item.test_outputs or []:
        if output.output_type == "stream" and output.name == "stderr":
            item.raise_cell_error("The cell wrote to stderr:", output.text)


def check_error(item):
    raised = any(output.output_type == "error" for output in item.test_outputs or [])
    if item.options["check_exception"] and not raised:
        item.raise_cell_error("The cell is tagged raises-exception and raised nothing")


def check_pictures(item):
    """nbval compares no pixels, so that it does not miss a picture that is not there."""
    if item.skip_comparison:
        return
    stored, produced = pictures(item.cell.outputs), pictures(item.test_outputs or [])
    if stored != produced:
        item.raise_cell_error(f"Pictures stored: {stored}; pictures produced: {produced}")


def pictures(outputs):
    return sum(
        mime.startswith("image/") + (mime == "text/html") * "".join(content).count("<img")
        for output in outputs
        for mime, content in output.get("data", {}).items()
    )


class Watch:
    """One notebook's run: its kernel, what it has used, and why it cannot go on."""

    def __init__(self, nbfile):
        # The first use of matplotlib on a machine builds a font cache, and says so on stderr.
        import matplotlib.font_manager  # noqa: F401

        self.nbfile, self.kernel = nbfile, nbfile.kernel
        self.promise = nbfile.nb.metadata.get("course", {})
        self.seconds, self.bytes = 0.0, None
        self.broken, self.told = None, False
        self.displays = {}  # display id -> its data, for redrawing
        self.output_widgets = {}  # id of an Output widget -> is it catching output now?

        self.inner_get_message = self.kernel.get_message
        self.kernel.get_message = self.get_message
        self.kernel.execute_cell_input = self.execute
        self.inner_get_kernel_message = nbfile.get_kernel_message
        nbfile.get_kernel_message = self.get_kernel_message

    # One cell

    def begin(self, item):
        if self.broken:
            item.raise_cell_error(f"Not run: {self.broken}")
        self.item, self.count, self.clear_pending = item, None, False
        item.skip_comparison = False
        for tag in item.cell.metadata.get("tags", []):
            if tag.startswith("needs-") and (reason := gate.missing(tag[len("needs-") :])):
                if gate.in_ci():
                    item.raise_cell_error(f"In CI nothing may be left out: {reason}")
                item.user_properties.append((gate.LEFT_OUT, f"not compared: {reason}"))
                item.skip_comparison, item.options["check"] = True, False
        self.started = time.perf_counter()

    def end(self):
        self.seconds += time.perf_counter() - self.started
        self.sample_memory()
        # nbval would mark the later cells as expected failures; they are reported as not run.
        self.nbfile.timed_out = False

    def check_count(self):
        stored = self.item.cell.execution_count
        if stored != self.count:
            self.item.raise_cell_error(
                f"The cell is stored with execution count {stored}; run from the top it has "
                f"{self.count}. Run the whole notebook: make notebooks"
            )

    def check_memory(self):
        """Fail once, at the cell in which the notebook goes over what its header promises."""
        limit = self.promise.get("memory_gb")
        if limit and not self.told and (self.bytes or 0) > 1e9 * limit:
            self.told = True
            self.item.raise_cell_error(
                f"The notebook has taken {self.bytes / 1e9:.2f} GB of memory, promised are "
                f"{limit:g} GB"
            )

    def summary(self):
        used = "memory not measured" if self.bytes is None else f"{self.bytes / 1e6:.0f} MB"
        minutes, limit = self.promise.get("minutes"), self.promise.get("memory_gb")
        promised = f"{minutes} minutes, {limit} GB" if minutes and limit else "nothing"
        # The promise is for the whole machine.
        is_late = minutes and self.seconds > 60 * minutes and not gate.is_sharing()
        late = ", LONGER than promised" if is_late else ""
        return f"{self.nbfile.nodeid}: {self.seconds:.1f} s, {used} (promised: {promised}){late}"

    # The kernel

    def execute(self, source, allow_stdin=None):
        # A trailing ';' hides a value only in cells that go into the history.
        self.message_id = self.kernel.kc.execute(
            source, store_history=True, allow_stdin=False, stop_on_error=False
        )
        return self.message_id

    def get_message(self, stream, timeout=None):
        """Wait in short steps, to see a dead kernel at once rather than at the time-out."""
        deadline = float("inf") if timeout is None else time.monotonic() + timeout
        while True:
            left = max(0, deadline - time.monotonic())
            try:
                return self.inner_get_message(stream, timeout=min(left, POLL_SECONDS))
            except Empty:
                if not self.kernel.is_alive():
                    self.raise_dead()
                if left == 0:
                    raise
                self.sample_memory()

    def raise_dead(self):
        code = self.kernel.km.provisioner.process.poll()
        how = f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"
        used = "" if self.bytes is None else f", after using {self.bytes / 1e6:.0f} MB"
        hint = "; the system ran out of memory?" if code == -9 else ""
        self.kernel.kc.stop_channels()
        self.kernel.km.cleanup_resources()
        self.item.raise_cell_error(f"The kernel died ({how}{used}{hint})")

    def sample_memory(self):
        if self.kernel.is_alive():
            used = memory.peak(self.kernel.km.provisioner.pid)
            self.bytes = max(filter(None, [self.bytes, used]), default=None)

    # Messages, seen before nbval sees them

    def get_kernel_message(self, timeout=None, stream="iopub"):
        while True:
            message = self.inner_get_kernel_message(timeout=timeout, stream=stream)
            if self.passes(message):
                return message

    def passes(self, message):
        """Whether a message goes on to nbval; keeps the outputs as JupyterLab would show them."""
        kind, content = message["msg_type"], message["content"]
        if kind == "update_display_data":
            self.redraw(content)
            return False
        if message["parent_header"].get("msg_id") != self.message_id:
            return True
        if kind == "execute_input":
            self.count = content["execution_count"]
        elif kind in ("comm_open", "comm_msg"):
            self.follow_widget(content)
        elif kind in ("clear_output", "display_data", "execute_result", "stream"):
            outputs = self.item.test_outputs
            if any(self.output_widgets.values()) and content.get("name") != "stderr":
                return False
            if kind == "clear_output" and content.get("wait"):
                self.clear_pending = True
            elif kind == "clear_output" or self.clear_pending:
                outputs.clear()
                self.clear_pending = False
            if "data" in content:
                content["data"] = NotebookNode(content["data"])
                self.displays[content.get("transient", {}).get("display_id")] = content["data"]
            return kind != "clear_output"
        return True

    def redraw(self, content):
        data = self.displays.get(content["transient"]["display_id"])
        if data is not None:
            data.clear()
            data.update(content["data"])

    def follow_widget(self, content):
        """An Output widget (also inside `interact`) catches what is printed while it has an id."""
        widget, data = content["comm_id"], content.get("data", {})
        state = data.get("state", {})
        if state.get("_model_name") == "OutputModel":
            self.output_widgets[widget] = False
        if widget in self.output_widgets and "msg_id" in state:
            self.output_widgets[widget] = bool(state["msg_id"])


def pytest_terminal_summary(terminalreporter):
    last = {nodeid.partition("::")[0]: used for nodeid, used in gate.told(terminalreporter, USED)}
    if last:
        terminalreporter.section("Notebooks: time and peak memory")
        for _, used in sorted(last.items()):
            terminalreporter.line(used)
