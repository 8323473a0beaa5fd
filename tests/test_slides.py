"""The slides of every lecture, in a browser: whole, described, and without a network."""

import lectures
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.needs("sphinx", "chromium")]

WIDTH, HEIGHT = 1280, 720
LOWEST = """() => Math.max(...[...Reveal.getCurrentSlide().children]
  .filter(part => !part.matches('.notes')).map(part => part.getBoundingClientRect().bottom))"""
WIDEST = """() => Math.max(...[...Reveal.getCurrentSlide().querySelectorAll('*')]
  .filter(part => !part.closest('.notes')).map(part => part.getBoundingClientRect().right))"""
LETTERS = "() => parseFloat(getComputedStyle(Reveal.getCurrentSlide()).fontSize)"


@pytest.mark.parametrize("path", lectures.paths(), ids=lambda path: path.stem)
def test_nothing_of_a_deck_is_cut_off(path, browser, tmp_path):
    import slides

    slides.main(tmp_path, path.stem)
    page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((tmp_path / f"{path.stem}.html").as_uri())
    page.wait_for_function("() => window.Reveal?.isReady()")
    count = page.evaluate("() => Reveal.getTotalSlides()")
    assert 10 <= count <= 20
    for number in range(count):
        page.evaluate("number => Reveal.slide(number, 0, 99)", number)
        assert page.evaluate(LOWEST) <= HEIGHT, f"slide {number + 1} is cut off below"
        assert page.evaluate(WIDEST) <= WIDTH, f"slide {number + 1} is cut off at the right"
        assert page.evaluate(LETTERS) >= 18, f"slide {number + 1} has letters too small to read"
    notes = page.locator("aside.notes")
    assert notes.count() >= 4  # what the speaker says about the results
    shown = page.evaluate("() => [...document.images].map(image => image.alt)")
    assert all(shown)
    stored = {
        output["metadata"]["image/png"]["alt"]
        for cell in lectures.read(path)["cells"]
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    }
    assert set(shown) <= stored
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    page.close()


def test_a_lecture_that_does_not_exist_is_told(tmp_path):
    import slides

    with pytest.raises(SystemExit, match="no lecture begins with '13': there are 00_start_here"):
        slides.main(tmp_path, "13")


@pytest.mark.parametrize("path", lectures.paths(), ids=lambda path: path.stem)
def test_marks_are_those_of_jupyter(path):
    import slides

    assert {slides.kind(cell) for cell in lectures.read(path)["cells"]} <= set(slides.KINDS)
