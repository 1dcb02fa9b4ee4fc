"""The page in a real browser; without one, these tests are skipped."""

import base64
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Page,
    ViewportSize,
    expect,
    sync_playwright,
)
from torch import nn

from benchmarks import pen
from study.networks import inputs
from study.page import network_export, single_file
from study.page.digits import MOST_IN_GROUP
from tests.page.page_study import PageStudy

pytestmark = pytest.mark.xdist_group("browser")

PHONE: ViewportSize = {"width": 360, "height": 740}
DESKTOP: ViewportSize = {"width": 1440, "height": 900}
SIDE = 28
CHUNK = 250
"""Images that are sent to the browser at a time."""
THREE = [
    *((0.3, 0.22), (0.45, 0.13), (0.62, 0.2), (0.62, 0.36), (0.45, 0.46)),
    *((0.64, 0.56), (0.66, 0.74), (0.5, 0.86), (0.3, 0.78)),
]
"""A line that looks like a 3, on a board of side 1."""

Place = tuple[float, float]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = pen.browser()
    if path is None:
        pytest.skip("no browser; `apt-get install chromium` installs one")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path)
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport=DESKTOP, has_touch=True)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext, study: PageStudy) -> Page:
    """The page, opened from its file."""
    page = context.new_page()
    page.goto(study.page.as_uri())
    return page


def text(page: Page, selector: str) -> str:
    return page.locator(selector).first.inner_text()


def digits(page: Page) -> list[str]:
    """The digit on the card of each model."""
    return page.locator(".card-digit").all_inner_texts()


def next_frame(page: Page) -> None:
    page.evaluate("new Promise((end) => requestAnimationFrame(() => setTimeout(end)))")


def on_board(page: Page, place: Place) -> Place:
    """Return where a place on the board is on the page."""
    box = page.locator("#board").bounding_box()
    assert box is not None
    return box["x"] + place[0] * box["width"], box["y"] + place[1] * box["height"]


def use_pen(page: Page, kind: str, place: Place) -> None:
    """Move, press or release a pen."""
    x, y = on_board(page, place)
    session = page.context.new_cdp_session(page)
    held = {"buttons": 0 if kind == "mouseReleased" else 1, "button": "left", "clickCount": 1}
    event = {"type": kind, "x": x, "y": y, "pointerType": "pen", **held}
    session.send("Input.dispatchMouseEvent", event)
    session.detach()


def draw_with_mouse(page: Page, places: list[Place]) -> None:
    page.mouse.move(*on_board(page, places[0]))
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*on_board(page, place), steps=4)
    page.mouse.up()
    next_frame(page)


# The file


def test_page_opens_without_a_message_or_a_request(
    context: BrowserContext, study: PageStudy
) -> None:
    page = context.new_page()
    messages: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(study.page.as_uri())
    draw_with_mouse(page, THREE)
    page.locator(".thumb").first.click()
    page.locator("#inside").scroll_into_view_if_needed()
    next_frame(page)
    assert messages == []
    assert requests == [study.page.as_uri()]


@pytest.mark.parametrize(
    "attempt",
    [
        "fetch('http://127.0.0.1:9/').catch(() => 0)",
        "new Image().src = 'http://127.0.0.1:9/picture.png'",
        "document.body.append(Object.assign(document.createElement('script'), {text: 'x = 1'}))",
        "document.body.setAttribute('onclick', 'x = 1'); document.body.click()",
    ],
    ids=["fetch", "image", "script", "handler"],
)
def test_policy_forbids_connections_and_foreign_scripts(page: Page, attempt: str) -> None:
    page.evaluate("""void (forbidden = new Promise((end) => {
      addEventListener('securitypolicyviolation', () => end(true));
      setTimeout(() => end(false), 10_000);
    }))""")
    page.evaluate(attempt)
    assert page.evaluate("forbidden")


# The networks


def test_logits_agree_with_pytorch(page: Page, study: PageStudy) -> None:
    assert page.evaluate("study.models") == [*study.networks]
    for name in study.networks:
        check_logits(page, study, name, study.images[:100])


@pytest.mark.slow
def test_logits_of_every_image_agree_with_pytorch(page: Page, study: PageStudy) -> None:
    """Of one model each; all models take as many times as long."""
    for first, name in enumerate(study.networks):
        check_logits(page, study, name, study.images[first :: len(study.networks)])


def check_logits(page: Page, study: PageStudy, name: str, images: NDArray[np.uint8]) -> None:
    parts = (images[start : start + CHUNK] for start in range(0, len(images), CHUNK))
    found = np.concatenate([logits(page, name, part) for part in parts])
    expected = inputs.logits(study.networks[name], images)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)
    np.testing.assert_array_equal(found.argmax(1), expected.argmax(1))


def logits(page: Page, name: str, images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The page's logits [n, 10] of images by one model."""
    pixels = base64.b64encode(images.tobytes()).decode()
    script = """([name, text]) => {
      const pixels = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
      const found = [];
      for (let start = 0; start < pixels.length; start += 784) {
        found.push(study.logits(name, pixels.subarray(start, start + 784)));
      }
      return found;
    }"""
    return np.array(page.evaluate(script, [name, pixels]))


def test_windows_that_no_model_has_agree_with_pytorch(
    context: BrowserContext, study: PageStudy
) -> None:
    """Strides, dilation, groups of channels, and pooling that overlaps."""
    torch.manual_seed(1)
    network = nn.Sequential(
        nn.Conv2d(1, 4, 5, stride=2, padding=2),
        nn.AvgPool2d(3, stride=2),
        nn.Conv2d(4, 6, 2, dilation=2, groups=2),
        nn.MaxPool2d(2, stride=1),
        nn.Conv2d(6, 10, 3),
        nn.Flatten(),
    )
    exported = network_export.export("m", network)
    model = {
        "layers": exported.description(),
        "numbers": base64.b64encode(exported.numbers.tobytes()).decode(),
    }
    page = context.new_page()
    scripts = single_file.bundle(single_file.SITE, "network.js")
    page.evaluate(f"{scripts}\nvoid (globalThis.Model = Network)")
    script = """([model, scaling, pixels]) =>
      [...new Model(model, scaling).run(Uint8Array.from(pixels)).at(-1).values]"""
    image, scaling = study.images[0], {"mean": inputs.MEAN, "sd": inputs.SD}
    found = page.evaluate(script, [model, scaling, image.reshape(-1).tolist()])
    expected = inputs.logits(network, image[None])
    np.testing.assert_allclose(found, expected[0], rtol=0, atol=1e-5)


# The picture that they see


def test_prepared_images_of_mnist_are_as_mnist_has_them(
    context: BrowserContext, study: PageStudy
) -> None:
    """Also if they were drawn larger, and elsewhere on the board."""
    page = context.new_page()
    scripts = single_file.bundle(single_file.SITE, "preparation.js")
    page.evaluate(f"{scripts}\nvoid (globalThis.prepared = prepare)")
    images = study.images[:100]
    same = [np.array_equal(prepare(page, enlarged(image)), image) for image in images]
    # A center of mass between two pixels may go to either.
    assert np.mean(same) > 0.99


def enlarged(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a drawing of side 448 with an image's ink in its upper right corner."""
    rows, columns = np.flatnonzero(image.any(1)), np.flatnonzero(image.any(0))
    ink = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].repeat(9, 0).repeat(9, 1)
    drawing = np.zeros((448, 448), np.uint8)
    drawing[: ink.shape[0], -ink.shape[1] :] = ink
    return drawing


def prepare(page: Page, drawing: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The page's picture of a drawing."""
    script = """(text) =>
      [...prepared(Uint8Array.from(atob(text), (character) => character.charCodeAt(0)))]"""
    pixels = page.evaluate(script, base64.b64encode(drawing.tobytes()).decode())
    return np.array(pixels, np.uint8).reshape(SIDE, SIDE)


def seen(page: Page) -> NDArray[np.uint8]:
    """The picture that the page shows as what the networks see."""
    script = """() => [...document.querySelector('#seen').getContext('2d')
      .getImageData(0, 0, 28, 28).data].filter((_, index) => index % 4 === 3)"""
    return np.array(page.evaluate(script), np.uint8).reshape(SIDE, SIDE)


def test_seen_picture_is_fitted_and_centered(page: Page) -> None:
    draw_with_mouse(page, [(0.1, 0.1), (0.12, 0.3)])
    picture = seen(page)
    rows, columns = np.nonzero(picture)
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20
    weights = picture[rows, columns]
    for axis in (rows, columns):
        assert np.average(axis, weights=weights) == pytest.approx(14, abs=0.51)


def test_small_drawing_has_the_lines_of_a_large_one(page: Page) -> None:
    draw_with_mouse(page, THREE)
    large = seen(page)
    small = [(0.6 + 0.25 * x, 0.1 + 0.25 * y) for x, y in THREE]
    page.keyboard.press("Delete")
    draw_with_mouse(page, small)
    assert seen(page).mean() == pytest.approx(large.mean(), rel=0.1)
    # What has been erased does not count.
    page.keyboard.press("Delete")
    draw_with_mouse(page, [(0.1, 0.9), (0.9, 0.9)])
    page.locator("#eraser").click()
    draw_with_mouse(page, [(0.05, 0.9), (0.95, 0.9)])
    page.locator("#pen").click()
    draw_with_mouse(page, small)
    assert seen(page).mean() == pytest.approx(large.mean(), rel=0.1)


# Drawing


def test_pen_is_answered_before_it_is_lifted(page: Page) -> None:
    assert set(digits(page)) == {"–"}
    use_pen(page, "mousePressed", THREE[0])
    for place in THREE[1:]:
        use_pen(page, "mouseMoved", place)
    next_frame(page)
    before = digits(page)
    assert all(each.isdigit() for each in before)
    use_pen(page, "mouseReleased", THREE[-1])
    next_frame(page)
    assert digits(page) == before


def test_benchmark_has_the_time_of_each_answer(page: Page) -> None:
    times = pen.measure(page, answers=5)
    assert len(times) == 5
    assert all(0 < each < 60_000 for each in times)


def test_stroke_from_beside_the_board_draws_and_selects_nothing(page: Page) -> None:
    draw_with_mouse(page, [(0.5, -0.15), (0.5, 0.9)])
    assert seen(page).any()
    assert page.evaluate("String(getSelection())") == ""


def test_finger_draws(page: Page) -> None:
    page.touchscreen.tap(*on_board(page, (0.5, 0.5)))
    next_frame(page)
    assert seen(page).any()


def test_undo_and_clear_go_back(page: Page) -> None:
    draw_with_mouse(page, THREE)
    first = seen(page)
    draw_with_mouse(page, [(0.1, 0.5), (0.9, 0.5)])
    assert not np.array_equal(seen(page), first)
    page.keyboard.press("Control+z")
    next_frame(page)
    np.testing.assert_array_equal(seen(page), first)
    page.locator("#clear").click()
    next_frame(page)
    assert not seen(page).any()
    assert set(digits(page)) == {"–"}
    page.locator("#undo").click()
    next_frame(page)
    np.testing.assert_array_equal(seen(page), first)


def test_board_without_every_move_of_the_pointer_draws(
    context: BrowserContext, study: PageStudy
) -> None:
    """As in Safari before 18.2."""
    context.add_init_script("delete PointerEvent.prototype.getCoalescedEvents")
    page = context.new_page()
    page.goto(study.page.as_uri())
    draw_with_mouse(page, [(0.2, 0.5), (0.8, 0.5)])
    assert np.ptp(np.nonzero(seen(page))[1]) > 15


def test_other_buttons_do_not_draw(page: Page) -> None:
    page.mouse.move(*on_board(page, (0.5, 0.5)))
    page.mouse.down(button="middle")
    page.mouse.move(*on_board(page, (0.8, 0.5)))
    page.mouse.up(button="middle")
    next_frame(page)
    assert not seen(page).any()


def test_board_cleared_during_a_stroke_stays_empty(page: Page) -> None:
    page.mouse.move(*on_board(page, (0.2, 0.5)))
    page.mouse.down()
    page.keyboard.press("Delete")
    page.mouse.move(*on_board(page, (0.8, 0.5)), steps=4)
    page.mouse.up()
    next_frame(page)
    assert not seen(page).any()
    ink = "document.querySelector('#board').getContext('2d').getImageData(0, 0, 448, 448).data"
    assert not page.evaluate(f"{ink}.some(Boolean)")


def test_eraser_erases(page: Page) -> None:
    draw_with_mouse(page, [(0.1, 0.5), (0.9, 0.5)])
    page.locator("#eraser").click()
    draw_with_mouse(page, [(0.1, 0.5), (0.9, 0.5)])
    assert not seen(page).any()


def test_edge_that_the_eraser_leaves_is_answered(page: Page) -> None:
    """A small drawing is answered as with thinner lines, and of those nothing is left here."""
    draw_with_mouse(page, [(0.5, 0.33), (0.5, 0.56)])
    page.locator("#eraser").click()
    draw_with_mouse(page, [(0.4465, 0.2), (0.4465, 0.7)])
    assert seen(page).any()


def test_key_loads_an_example_as_it_is(page: Page, study: PageStudy) -> None:
    page.keyboard.press("7")
    next_frame(page)
    read_correctly = (study.predictions == study.labels[:, None]).all(axis=1)
    (first, second, *_) = np.flatnonzero(read_correctly & (study.labels == 7))
    np.testing.assert_array_equal(seen(page), study.images[first])
    assert text(page, "#source") == f"Test image {first:,}: a 7"
    page.keyboard.press("7")
    next_frame(page)
    np.testing.assert_array_equal(seen(page), study.images[second])


def test_key_held_down_loads_one_example(page: Page) -> None:
    for _ in range(3):
        page.keyboard.down("7")
    page.keyboard.press("Control+z")
    next_frame(page)
    assert not seen(page).any()


def test_key_is_for_the_board_only_near_it(page: Page) -> None:
    page.locator("#misreader").focus()
    page.keyboard.press("7")
    next_frame(page)
    assert not seen(page).any()


def test_undo_brings_back_what_the_image_is(page: Page) -> None:
    page.keyboard.press("7")
    next_frame(page)
    seven = text(page, "#source")
    page.keyboard.press("3")
    page.keyboard.press("Control+z")
    next_frame(page)
    assert text(page, "#source") == seven
    page.keyboard.press("Delete")
    next_frame(page)
    assert text(page, "#source") == ""
    page.keyboard.press("Control+z")
    next_frame(page)
    assert text(page, "#source") == seven


def test_drawing_on_an_erased_example_is_fitted(page: Page) -> None:
    page.keyboard.press("1")
    page.locator("#eraser").click()
    for y in range(1, 10):
        draw_with_mouse(page, [(0, y / 10), (1, y / 10)])
    assert set(digits(page)) == {"–"}
    assert text(page, "#source") == ""
    page.locator("#pen").click()
    draw_with_mouse(page, [(0.1, 0.1), (0.12, 0.3)])
    rows, columns = np.nonzero(seen(page))
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20
    assert text(page, "#source") == ""


def test_changed_example_stays_in_its_place(page: Page, study: PageStudy) -> None:
    page.keyboard.press("1")
    next_frame(page)
    before = seen(page)
    draw_with_mouse(page, [(0.05, 0.05), (0.06, 0.05)])
    changed = seen(page) != before
    assert changed[:4, :4].any()
    assert not changed[6:].any()
    assert text(page, "#source").endswith(", changed")
    assert "unchanged" not in text(page, "#seen-text")


# The hard digits


def test_chosen_hard_digit_is_answered_as_predicted(page: Page, study: PageStudy) -> None:
    wrong = (study.predictions != study.labels[:, None]).sum(axis=1)
    hardest = int(np.argmax(wrong))
    page.locator(".thumb").first.click()
    next_frame(page)
    assert text(page, "#source") == f"Test image {hardest:,}: a {study.labels[hardest]}"
    assert digits(page) == [str(each) for each in study.predictions[hardest]]
    models = f"{wrong[hardest]} model{'' if wrong[hardest] == 1 else 's'}"
    digit = "an 8" if study.labels[hardest] == 8 else f"a {study.labels[hardest]}"
    assert text(page, "#verdict").endswith(f"It is {digit}: {models} misread it.")


def test_hard_digits_are_those_of_the_group_and_the_model(page: Page, study: PageStudy) -> None:
    is_wrong = study.predictions != study.labels[:, None]
    wrong = is_wrong.sum(axis=1)
    most = (2 * wrong > len(study.networks)) & (wrong < len(study.networks))
    page.locator("#groups label", has=page.locator("[value=most]")).click()
    # The hardest first, and of those as hard the first.
    held = sorted(np.flatnonzero(most), key=lambda image: (-wrong[image], image))[:MOST_IN_GROUP]
    assert page.locator(".thumb").count() == len(held)
    assert (f"{most.sum():,} images" in text(page, "#gallery-note")) == (len(held) < most.sum())
    page.locator("#misreader").select_option("2")
    assert page.locator(".thumb").count() == is_wrong[held, 2].sum()


def marked(page: Page) -> list[int]:
    """The places in the gallery of the hard digits that are marked."""
    marks = page.locator(".thumb").evaluate_all(
        "(all) => all.map((each) => each.getAttribute('aria-pressed') === 'true')"
    )
    places: list[int] = np.flatnonzero(marks).tolist()
    return places


def test_step_back_from_a_hard_digit_that_is_not_shown_leads_to_the_last_one(page: Page) -> None:
    counts = page.locator("#groups .count").all_inner_texts()
    # Some groups are empty: which ones depends on whether the study has been trained.
    *_, other, largest = np.argsort([int(each.replace(",", "")) for each in counts]).tolist()
    groups = page.locator("#groups label")
    groups.nth(other).click()
    page.locator(".thumb").first.click()
    groups.nth(largest).click()
    page.locator("#previous").click()
    shown = page.locator(".thumb").count()
    assert shown > 2
    assert marked(page) == [shown - 1]


def test_next_hard_digit_does_not_move_the_page(page: Page) -> None:
    page.set_viewport_size(PHONE)
    page.locator(".thumb").first.click()
    next_button = page.locator("#next")
    next_button.scroll_into_view_if_needed()
    place = page.evaluate("scrollY")
    next_button.click()
    next_frame(page)
    assert page.evaluate("scrollY") == place


def test_steps_go_through_the_hard_digits(page: Page) -> None:
    page.locator(".thumb").first.click()
    next_frame(page)
    first = text(page, "#source")
    page.locator("#next").click()
    next_frame(page)
    assert text(page, "#source") != first
    page.locator("#previous").click()
    next_frame(page)
    assert text(page, "#source") == first


def test_undo_goes_back_to_the_hard_digit_before(page: Page) -> None:
    counts = page.locator("#groups .count").all_inner_texts()
    largest = int(np.argmax([int(each.replace(",", "")) for each in counts]))
    page.locator("#groups label").nth(largest).click()
    page.locator(".thumb").first.click()
    page.locator("#next").click()
    next_frame(page)
    page.locator("#undo").click()
    next_frame(page)
    assert marked(page) == [0]
    page.locator("#next").click()
    assert marked(page) == [1]


# Inside a model


def test_pointer_on_a_map_frames_what_it_sees(page: Page, study: PageStudy) -> None:
    page.keyboard.press("3")
    page.get_by_role("button", name="Model 2: ").click()
    assert text(page, "#inside-title") == "Inside Model 2"
    maps = page.locator(".layer canvas").first
    maps.scroll_into_view_if_needed()
    next_frame(page)
    maps.hover(position={"x": 9, "y": 5})  # two pixels of the page per number: column 4, row 2
    frame = page.locator("#field")
    (first, *_) = study.networks["model_2"]
    assert isinstance(first, nn.Conv2d)
    kernel = first.kernel_size[0]
    assert [frame.get_attribute(key) for key in ("x", "y", "width", "height")] == [
        *("4", "2", str(kernel), str(kernel))
    ]
    assert "Channel 1, row 3, column 5: " in text(page, "#reading")


def test_reading_is_that_of_the_picture_shown(page: Page) -> None:
    page.locator(".layer canvas").first.focus()
    for _ in range(12):
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowDown")
    before = text(page, "#reading")
    page.keyboard.press("8")
    next_frame(page)
    after = text(page, "#reading")
    assert before.partition(":")[0] == after.partition(":")[0] == "Channel 1, row 13, column 13"
    assert before != after


def test_reading_stays_when_a_finger_is_lifted(page: Page) -> None:
    maps = page.locator(".layer canvas").first
    maps.scroll_into_view_if_needed()
    maps.tap(position={"x": 9, "y": 5})
    assert "row 3, column 5" in text(page, "#reading")
    page.locator("#curves").scroll_into_view_if_needed()
    page.locator("#curves svg").tap(position={"x": 60, "y": 100})
    assert "after epoch 1." in text(page, "#curves-note")


def test_field_beyond_the_picture_is_not_counted(page: Page) -> None:
    page.get_by_role("button", name="Model 6: ").click()
    fields = page.locator(".layer-field").all_inner_texts()
    assert fields[-1] == f"sees {SIDE}×{SIDE} pixels"


# The study


def test_table_sorts_by_a_click_on_a_heading(page: Page) -> None:
    button = page.get_by_role("button", name="Parameters", exact=True)
    for direction in (1, -1):
        button.click()
        column = page.locator("table.sortable tbody td:nth-child(2)").all_inner_texts()
        values = [int(each.replace(",", "")) * direction for each in column]
        assert values == sorted(values)


def test_switch_removes_a_curve(page: Page, study: PageStudy) -> None:
    assert page.locator(".curve").count() == len(study.networks)
    page.locator("#switches input").first.uncheck()
    assert page.locator(".curve").count() == len(study.networks) - 1


def test_pointer_on_a_switch_singles_out_its_curve(page: Page, study: PageStudy) -> None:
    page.locator(".switch").nth(1).hover()
    assert page.locator(".curve.is-faint").count() == len(study.networks) - 1
    page.locator("h1").hover()
    assert page.locator(".curve.is-faint").count() == 0


def test_arrow_keys_choose_an_epoch(page: Page) -> None:
    chart = page.locator("#curves svg")
    chart.focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    assert chart.get_attribute("aria-valuenow") == "2"
    assert "epoch 2." in text(page, "#curves-note")
    page.keyboard.press("End")
    page.keyboard.press("ArrowRight")
    assert chart.get_attribute("aria-valuenow") == chart.get_attribute("aria-valuemax")
    page.locator("#switches input").nth(1).focus()
    assert page.locator(".curve.is-faint").count() == page.locator(".curve").count() - 1


# For everybody


@pytest.mark.parametrize(("button", "section"), [(".card", "inside"), (".thumb", "draw")])
def test_focus_follows_the_view(page: Page, button: str, section: str) -> None:
    page.emulate_media(reduced_motion="reduce")  # no animation to wait for
    page.locator(button).last.focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.closest('section').id") == section
    expect(page.locator(f"#{section}-title")).to_be_in_viewport()


def test_page_without_scripts_says_so(browser: Browser, study: PageStudy) -> None:
    page = browser.new_page(java_script_enabled=False)
    page.goto(study.page.as_uri())
    assert page.locator("noscript p").is_visible()
    page.close()


@pytest.mark.parametrize("frame", [".board-frame", "#seen", ".thumb .picture"])
def test_chalk_stays_on_its_board_in_a_contrast_theme(page: Page, frame: str) -> None:
    color = f"getComputedStyle(document.querySelector('{frame}')).backgroundColor"
    before = page.evaluate(color)
    page.emulate_media(color_scheme="light", forced_colors="active")
    assert page.evaluate(color) == before


@pytest.mark.parametrize("width", [360, 768, 1024, 1600])
def test_page_fits_its_window(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.keyboard.press("5")
    page.locator(".claim summary").first.click()
    next_frame(page)
    assert page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(page: Page, scheme: Any, size: ViewportSize) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size(size)
    page.locator(".thumb").first.click()
    page.evaluate("document.querySelectorAll('details').forEach((each) => each.open = true)")
    next_frame(page)
    page.evaluate((files("axe_playwright_python") / "axe.min.js").read_text("utf-8"))
    violations = page.evaluate("axe.run().then(({ violations }) => violations)")
    serious = [
        (each["id"], [node["html"][:200] for node in each["nodes"][:3]])
        for each in violations
        if each["impact"] in ("serious", "critical")
    ]
    assert serious == []


def test_theme_switches(page: Page) -> None:
    page.emulate_media(color_scheme="light")
    background = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    page.locator("#theme").click()
    assert page.evaluate(background) != light
    page.locator("#theme").click()
    assert page.evaluate(background) == light


def test_printed_page_shows_every_claim(page: Page) -> None:
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert all(each.is_visible() for each in page.locator(".checks").all())
    assert page.locator(".tools").first.is_hidden()
    page.emulate_media(media="screen")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert not any(each.is_visible() for each in page.locator(".checks").all())


@pytest.mark.parametrize("mark", [".bar-fill", ".mark", ".swatch", ".vote"])
def test_marks_are_printed_although_they_are_backgrounds(page: Page, mark: str) -> None:
    page.keyboard.press("5")
    next_frame(page)
    page.emulate_media(media="print")
    first = page.locator(mark).first
    assert first.evaluate("(each) => getComputedStyle(each).printColorAdjust") == "exact"
