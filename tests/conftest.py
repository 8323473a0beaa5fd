import pytest


@pytest.fixture(scope="module")
def one_thread():
    """Tiny networks train on one core: threads that wait for one another only take time."""
    from inception_course.train import processes

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(processes, "usable_cores", lambda: 1)
        yield


@pytest.fixture(scope="module")
def browser():
    """Chromium, for pages that lie on the disk."""
    from test_browser import chromium

    with chromium() as browser:
        yield browser
