"""Measure the time from a pen's event to the answers of all models, in page/index.html.

`python -m benchmarks.pen` draws a circle in a browser without a window. A time is that from the
event to the changed page, without what the screen takes to show it.
"""

import math
import shutil
from statistics import median, quantiles

from playwright.sync_api import Page, sync_playwright

from stages import paths
from stages.command import no_arguments, run
from study.base.errors import UserError

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
"""Commands that start a browser."""
WARM_UP = 20
"""Answers that are not counted: at first, the browser compiles the code."""


def main() -> None:
    """Print the median and the 95th percentile."""
    no_arguments()
    path = browser()
    if path is None:
        raise UserError("no browser; `apt-get install chromium` installs one")
    with sync_playwright() as playwright:
        page = playwright.chromium.launch(executable_path=path).new_page()
        page.goto(paths.PAGE.resolve().as_uri())
        times = measure(page, 200)
    print(f"median {median(times):.0f} ms, 95th percentile {quantiles(times, n=20)[-1]:.0f} ms")


def browser() -> str | None:
    """Return the path of a browser; None if there is none."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def measure(page: Page, answers: int) -> list[float]:
    """Return the time of each answer while a circle is drawn, in milliseconds."""
    box = page.locator("#board").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    radius = box["width"] / 3
    page.mouse.move(x + radius, y)
    page.mouse.down()
    times = []
    for step in range(WARM_UP + answers):
        angle = 2 * math.pi * step / answers
        page.mouse.move(x + radius * math.cos(angle), y + radius * math.sin(angle))
        page.evaluate("new Promise((end) => requestAnimationFrame(() => setTimeout(end)))")
        times.append(float(page.locator("#time").get_attribute("data-milliseconds") or "nan"))
    page.mouse.up()
    return times[WARM_UP:]


if __name__ == "__main__":
    run(main)
