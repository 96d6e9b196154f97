import pytest
from served_app import ServedApp, browser_program


@pytest.fixture(scope="module")
def browser():
    """Skipped, with the reason, only where no browser can be had. Not for longer: its driver holds an event loop."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: no browser to drive")
    pytest.importorskip("gradio", reason="gradio is not installed: no page to look at")
    program = browser_program()
    if program is None:
        pytest.skip("no chromium or chrome is installed: no browser to look with")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def address(browser, tmp_path_factory):
    """A server for the tests of one file."""
    served = ServedApp(tmp_path_factory.mktemp("served")).start()
    yield served.address
    served.stop()
