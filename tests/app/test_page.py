"""The page in a real browser; skipped, with the reason, only where none can be had."""

import pytest
from served_app import visiting

SCRIPT = "<script>document.title='run'</script> ${document.title='run'} {{7*7}}"


@pytest.fixture
def page(browser, address):
    """A new visitor."""
    with visiting(browser, address) as page:
        yield page


def say(page, text):
    page.fill("#advisor-message textarea", text)
    page.press("#advisor-message textarea", "Enter")


def to_a_plan(page):
    """From a message by quick replies to a plan that nothing is asked about any more."""
    say(page, "200 support tickets in 12 topics, laptop only")
    page.wait_for_selector("#advisor-card h3")
    options = page.locator("#advisor-chat button.option")
    for _ in range(8):
        options.first.wait_for()
        if options.filter(has_text="Show the plan").count():
            break
        shown = page.locator("#advisor-chat").inner_text()
        options.first.click()
        page.wait_for_function("before => document.querySelector('#advisor-chat').innerText !== before", arg=shown)
        page.wait_for_timeout(1000)  # the answer comes in pieces
    page.wait_for_selector("#to-training:not([disabled])")


def test_a_conversation_leads_to_a_plan_in_training_and_outlives_a_reload(page):
    to_a_plan(page)
    places = ("#advisor-facts", "#advisor-card h3")
    known = [page.locator(place).inner_text() for place in places]

    page.reload()
    page.wait_for_selector("#advisor-card h3")
    page.wait_for_function(
        "([places, known]) => places.every((place, i) => document.querySelector(place).innerText === known[i])",
        arg=[places, known],
    )
    assert [page.locator(place).inner_text() for place in places] == known

    page.click("#to-training")
    page.wait_for_function("document.querySelector('#train-state')?.innerText.includes('No data is chosen')")
    page.click("#train-yaml button")
    page.wait_for_selector("#train-plan .cm-content")


def test_a_fact_is_taken_away_by_its_chip(page):
    say(page, "80 labelled chest x-rays, no GPU")
    page.wait_for_selector("#advisor-card h3")
    page.locator("#advisor-facts .token", has_text="no GPU").locator(".token-remove").click()

    page.wait_for_function("document.querySelector('#advisor-chat').innerText.includes('Forgotten: no GPU.')")


def test_scripts_are_text_in_the_chat_and_in_a_data_set(page, tmp_path):
    say(page, f"80 labelled x-rays {SCRIPT}")
    page.wait_for_selector("#advisor-card h3")
    file = tmp_path / "mine.csv"
    file.write_text("text,label\n" + "".join(f"{SCRIPT} {i},{i % 2}\n" for i in range(60)), encoding="utf-8")
    page.get_by_role("tab", name="Baseline").click()
    page.set_input_files("#data-file input[type=file]", str(file))
    page.wait_for_selector("#data-look table")

    assert SCRIPT in page.locator("#data-look").inner_text()
    assert page.title() == "hf-transfer-kit"


def test_no_tab_is_wider_than_a_narrow_screen(page):
    page.set_viewport_size({"width": 400, "height": 800})
    to_a_plan(page)
    for tab in ("Advisor", "Baseline", "Train", "Compare"):
        page.get_by_role("tab", name=tab).click()
        page.wait_for_timeout(300)
        assert page.evaluate("document.documentElement.scrollWidth") <= 400, tab
