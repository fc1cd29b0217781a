"""The page in a browser: it is silent, fits its window, and does what its controls say."""

import pytest

from sklearnloss.comparison.report import render


@pytest.fixture
def opened(opened_page):
    """Return what opens the page of a comparison, with all that it says and asks for."""
    return lambda comparison, **options: opened_page(render(comparison), **options)


def column(page, place):
    return page.eval_on_selector_all(
        "table.results tbody tr", f"rows => rows.map(row => row.cells[{place}].textContent)"
    )


def numbers(texts):
    return [float(text.replace("\u2212", "-")) for text in texts if text]


@pytest.mark.parametrize(
    "kind", ["many losses", "hostile", "forty classes", "several labels", "all failed", "one split"]
)
def test_a_page_is_silent_and_never_wider_than_its_window(opened, of_kind, collisions, kind):
    page = opened(of_kind(kind))
    for width in (360, 768, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert collisions(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_what_is_behind_it(opened, of_kind, contrasts, scheme):
    for kind in ("hostile", "plain", "unfinished"):
        page = opened(of_kind(kind), color_scheme=scheme)
        found = contrasts(page)
        assert len(found) > 50
        assert [text for text, contrast in found if contrast < 4.5] == []


def test_a_click_sorts_numbers_and_a_second_turns_them_round(opened, of_kind):
    page = opened(of_kind("plain"))
    fit = column(page, 0)
    head = page.get_by_role("columnheader", name="fit", exact=True)
    place = head.evaluate("head => head.cellIndex")
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert page.locator("[aria-sort]").count() == 1
    assert column(page, 0) != fit
    seconds = [float(text.removesuffix(" s")) for text in column(page, place)]
    assert seconds == sorted(seconds)
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    seconds = [float(text.removesuffix(" s")) for text in column(page, place)]
    assert seconds == sorted(seconds, reverse=True)


@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_keys_sort_too_and_what_is_missing_stays_last(opened, of_kind, key):
    page = opened(of_kind("plain"))
    head = page.get_by_role("columnheader", name="to baseline", exact=True)
    place = head.evaluate("head => head.cellIndex")
    head.get_by_role("button").focus()
    orders = []
    for _ in range(2):
        page.keyboard.press(key)
        orders.append(column(page, place))
        assert orders[-1][-1] == ""
    assert numbers(orders[0]) == sorted(numbers(orders[0]), reverse=True)
    assert numbers(orders[1]) == sorted(numbers(orders[1]))


def test_rows_that_tie_keep_their_order(opened, of_kind):
    page = opened(of_kind("plain"))
    before = column(page, 0)
    button = page.get_by_role("columnheader", name="ECE").get_by_role("button")
    for _ in range(2):
        button.click()
        assert column(page, 0) == before


def test_names_are_sorted_as_people_count(opened, made):
    page = opened(made({"gce(q=10)": 0.7, "gce(q=9)": 0.8, "ce": 0.9}))
    page.get_by_role("columnheader", name="loss").get_by_role("button").click()
    assert column(page, 0) == ["ce", "gce(q=9)", "gce(q=10)"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_theme_can_be_turned_whatever_the_system_says(opened, of_kind, scheme):
    page = opened(of_kind("plain"), color_scheme=scheme)
    paper = "getComputedStyle(document.body).backgroundColor"
    first = page.evaluate(paper)
    button = page.get_by_role("button", name="light and dark")
    button.click()
    turned = page.evaluate(paper)
    assert turned != first
    button.click()
    assert page.evaluate(paper) == first
    page.reload()
    assert page.evaluate(paper) == first


def test_ticking_a_loss_lifts_it_out_of_every_chart(opened, of_kind):
    page = opened(of_kind("many losses"))
    box = page.locator('#learning input[data-series="7"]')
    marks = page.locator('g[data-series="7"]')
    assert marks.count() == 3
    lifted = "marks => marks.map(mark => mark.classList.contains('on'))"
    assert marks.evaluate_all(lifted) == [False] * 3
    quiet = page.locator('#learning g[data-series="7"] path').evaluate("path => getComputedStyle(path).stroke")
    box.focus()
    page.keyboard.press("Space")
    assert marks.evaluate_all(lifted) == [True] * 3
    assert page.locator('#calibration input[data-series="7"]').is_checked()
    assert page.locator('#learning g[data-series="7"] path').evaluate("path => getComputedStyle(path).stroke") != quiet
    assert page.locator("#learning .paths > g").last.get_attribute("data-series") == "7"
    box.click()
    assert marks.evaluate_all(lifted) == [False] * 3


@pytest.mark.parametrize("allowed", [True, False])
def test_the_code_is_copied_with_the_clipboard_and_without(opened, of_kind, allowed):
    result = of_kind("plain")
    page = opened(result, permissions=["clipboard-read", "clipboard-write"])
    if not allowed:
        page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('not allowed')); }")
    page.get_by_role("button", name="Copy").click()
    page.get_by_role("status").filter(has_text="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()").strip() == result.code().strip()


def test_everything_can_be_reached_with_the_keyboard_in_the_order_it_stands_in(opened, of_kind):
    page = opened(of_kind("plain"), width=360)
    every = 'a, button, input, summary, [tabindex="0"]'
    count = page.locator(every).count()
    assert count > 30
    for place in range(count):
        page.keyboard.press("Tab")
        focused = f"[...document.querySelectorAll('{every}')].indexOf(document.querySelector(':focus-visible'))"
        assert page.evaluate(focused) == place


def test_the_skip_link_leads_to_the_results(opened, of_kind):
    page = opened(of_kind("plain"))
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the results"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_paper_is_light_has_no_controls_and_cuts_no_table(opened, of_kind):
    for kind in ("many losses", "forty classes"):
        page = opened(of_kind(kind), width=703, color_scheme="dark")  # A4 between its margins
        page.emulate_media(media="print", color_scheme="dark")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert not page.locator(".top, .copy, input").filter(visible=True).count()
        wide = "tables => tables.filter(t => t.getBoundingClientRect().right > innerWidth).map(t => t.className)"
        assert page.eval_on_selector_all("table", wide) == []


def test_folded_parts_are_open_on_paper_and_folded_again_after(opened, of_kind):
    page = opened(of_kind("hostile"))
    details = page.locator("details")
    assert details.count() == 1
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert details.get_attribute("open") is not None
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert details.get_attribute("open") is None


def test_without_a_script_all_is_readable_and_no_dead_control_shows(opened, of_kind):
    page = opened(of_kind("many losses"), java_script_enabled=False)
    assert not page.locator("button, input").filter(visible=True).count()
    assert page.locator("#learning .legend li").filter(visible=True).count() == 5  # four lifted out, and the rest
    assert page.locator("table.results tbody tr").count() == 30
    assert "gce" not in page.locator("#script").inner_text()
    assert "cross_val_score" in page.locator("#script").inner_text()
