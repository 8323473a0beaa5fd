"""A notebook in JupyterLab in a real browser: opened, run to its end, a slider moved.

By hand, for a picture of a whole notebook after running it:

    python tests/test_browser.py notebooks/00_start_here.ipynb picture.png
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import copies
import gate
import pytest

FIRST = "00_start_here.ipynb"
TOKEN = "course-test"
WIDTH, HEIGHT = 1300, 1000
# How long to wait before something counts as hung; nothing takes as long, even on a busy machine.
START_SECONDS, RUN_SECONDS = 300, 1800

pytestmark = [pytest.mark.slow, pytest.mark.needs("chromium")]

SETTINGS = {
    "apputils-extension/notification": {
        "fetchNews": "false",
        "checkForUpdates": False,
        "doNotDisturbMode": True,
    },
    # A kernel without a question first, and every cell in the page, not only those in sight.
    "notebook-extension/tracker": {
        "autoStartDefaultKernel": True,
        "windowingMode": "none",
        "scrollPastEnd": False,
    },
}
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# JavaScript, asked of the page
CURRENT = "window.jupyterapp?.shell?.currentWidget"
READY = f"""() => {{
  const session = {CURRENT}?.sessionContext;
  return !!session && session.isReady && session.session?.kernel?.status === 'idle';
}}"""
START = f"""async () => {{
  await window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs');
  const left = {CURRENT}.content.widgets.filter(c => c.model.executionCount);
  window.jupyterapp.commands.execute('notebook:run-all-cells');  // not awaited: may take long
  return left.length;
}}"""
# JupyterLab shows an error in the same way as stderr; after one the later cells are not run.
BAD = '[data-mime-type$="jupyter.error"], [data-mime-type$="jupyter.stderr"]'
ENDED = f"""() => document.querySelector('{BAD}') ||
  {CURRENT}.content.widgets.filter(c => c.model.type === 'code').every(
    c => c.model.executionState === 'idle' && c.model.executionCount)"""
# JupyterLab gives a PNG no alt text, and a picture in HTML that has none the alt text "Image": the
# description stands in `alt` or below the picture, folded away or as "Figure: ...".
UNDESCRIBED = """() => [...document.querySelectorAll('.jp-Notebook img')]
  .filter(image => ['', 'Image'].includes((image.getAttribute('alt') || '').trim()))
  .map(image => image.closest('.jp-Cell'))
  .filter(cell => !cell.querySelector('details') && !cell.innerText.includes('Figure: '))
  .map(cell => cell.innerText.slice(0, 200))"""
UNSEEN = """() => [...document.querySelectorAll('.jp-Notebook img')]
  .filter(image => image.complete && !image.naturalWidth)
  .map(image => image.getAttribute('alt'))"""
# What the slider's cell shows, without the slider's own number.
BESIDE_SLIDER = """() => {
  const cell = document.querySelector('.widget-slider .noUi-handle').closest('.jp-Cell');
  const shown = cell.querySelector('.jp-Cell-outputArea').cloneNode(true);
  shown.querySelectorAll('.widget-readout').forEach(readout => readout.remove());
  return shown.textContent + [...shown.querySelectorAll('img')].map(i => i.src).join();
}"""
LENGTH = f"() => {CURRENT}.content.outerNode.scrollHeight"
TO_THE_TOP = f"() => {CURRENT}.content.outerNode.scrollTo(0, 0)"


@contextmanager
def jupyterlab(notebooks):
    """A server of its own for a copy of a folder; gives its address."""
    with tempfile.TemporaryDirectory(prefix="lab-") as folder:
        home = Path(folder)
        shutil.copytree(notebooks, home / "work")
        for name, setting in SETTINGS.items():
            file = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(setting))
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        environment = os.environ | {
            "JUPYTER_CONFIG_DIR": str(home / "config"),
            "JUPYTER_DATA_DIR": str(home / "data"),
            "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
            "IPYTHONDIR": str(home / "ipython"),
            "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
            "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        }
        command = [
            *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
            *("--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0"),
            *(f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={home / 'work'}"),
            *("--LabApp.expose_app_in_browser=True", "--LabApp.extension_manager=readonly"),
        ]
        address = f"http://127.0.0.1:{port}"
        log_file = home / "server.log"
        with log_file.open("wb") as log:
            server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            wait_for(server, f"{address}/api/status?token={TOKEN}", log_file)
            yield address
        finally:
            server.terminate()
            try:
                server.wait(30)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def wait_for(server, url, log):
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            return urllib.request.urlopen(url, timeout=2).close()
        except OSError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"JupyterLab did not start:\n{log.read_text()}") from None
            time.sleep(0.25)


@contextmanager
def chromium():
    """The browser of this machine, without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=gate.chromium(), args=CHROMIUM_ARGUMENTS
        )
        yield browser
        browser.close()


@contextmanager
def browser_page(address):
    """A page that keeps, in `.off_host`, the addresses outside that it has asked for."""
    with chromium() as browser:
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.set_default_timeout(START_SECONDS * 1000)
        page.off_host = []
        at_home = (address, address.replace("http", "ws", 1), "data:", "blob:")
        page.on(
            "request",
            lambda request: request.url.startswith(at_home) or page.off_host.append(request.url),
        )
        yield page


def open_notebook(page, address, name):
    page.goto(f"{address}/lab/tree/{name}?token={TOKEN}")
    page.wait_for_selector(".jp-Notebook .jp-Cell")
    page.wait_for_function(READY)


def run_all(page):
    left = page.evaluate(START)
    assert left == 0, "the stored outputs could not be cleared"
    page.wait_for_function(ENDED, timeout=RUN_SECONDS * 1000)
    page.wait_for_timeout(1000)  # the last picture is drawn after its cell has ended


def photograph(page, file):
    """The whole notebook as one picture, without the side bar."""
    page.evaluate("() => window.jupyterapp.commands.execute('application:toggle-left-area')")
    page.set_viewport_size({"width": WIDTH, "height": page.evaluate(LENGTH) + 150})
    page.evaluate(TO_THE_TOP)
    page.wait_for_timeout(1000)
    page.screenshot(path=file)
    page.set_viewport_size({"width": WIDTH, "height": HEIGHT})


@pytest.fixture(scope="module")
def first_notebook(tmp_path_factory):
    """The reader's copy of the first notebook as opened, before it is run."""
    mine = tmp_path_factory.mktemp("course") / "my_notebooks"
    copies.make(mine)
    with jupyterlab(mine) as address, browser_page(address) as page:
        open_notebook(page, address, FIRST)
        yield page


def test_the_first_notebook_runs_in_jupyterlab(first_notebook, tmp_path):
    page = first_notebook
    assert page.evaluate(UNDESCRIBED) == [], "As opened: pictures without a sentence"
    assert page.evaluate(UNSEEN) == [], "As opened: pictures that cannot be shown"

    run_all(page)
    photograph(page, tmp_path / "notebook.png")
    assert page.locator(BAD).all_inner_texts() == []
    assert page.evaluate(UNDESCRIBED) == [], "After running: pictures without a sentence"
    assert page.evaluate(UNSEEN) == [], "After running: pictures that cannot be shown"

    before = page.evaluate(BESIDE_SLIDER)
    page.locator(".widget-slider .noUi-handle").first.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function(f"before => ({BESIDE_SLIDER})() !== before", arg=before)
    assert page.locator(BAD).all_inner_texts() == []
    assert page.off_host == []


if __name__ == "__main__":
    notebook, picture = map(Path, sys.argv[1:])
    with jupyterlab(notebook.parent) as address, browser_page(address) as page:
        open_notebook(page, address, notebook.name)
        run_all(page)
        photograph(page, picture)
        sys.exit("\n".join(page.locator(BAD).all_inner_texts()) or None)
