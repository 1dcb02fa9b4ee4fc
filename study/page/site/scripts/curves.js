/** Test accuracy over the epochs: a line per model, with the range over its seeds. */

import { byId, counted, element, shape } from "./dom.js";

const HEIGHT = 340;
const MARGIN = { top: 12, right: 12, bottom: 40, left: 48 };

/**
 * @typedef {{ title: string, runs: number, points: [number, number, number][] }} Curve
 */

export class Curves {
  /** @param {Curve[]} curves Lowest, mean and highest accuracy of each epoch. */
  constructor(curves) {
    this.curves = curves;
    this.isOn = curves.map(() => true);
    this.last = Math.max(1, ...curves.map(({ points }) => points.length - 1));
    /** @type {number | null} */
    this.epoch = null;
    /** Index of the curve whose switch is pointed at or has the focus; the others are faint. */
    this.pointedAt = -1;
    this.svg = /** @type {SVGSVGElement} */ (shape("svg", {
      tabindex: 0,
      role: "slider", // of the epoch
      "aria-label": "Test accuracy of each model over the epochs",
      "aria-valuemin": 1,
      "aria-valuemax": this.last + 1,
    }));
    byId("curves").replaceChildren(this.svg);
    byId("switches").append(...curves.map((curve, index) => this.switchOf(curve, index)));
    for (const kind of /** @type {const} */ (["pointermove", "pointerdown"])) {
      this.svg.addEventListener(kind, (event) => this.read(event));
    }
    this.svg.addEventListener("pointerleave", ({ pointerType }) => {
      if (pointerType !== "touch") this.show(null); // a finger leaves as soon as it is lifted
    });
    this.svg.addEventListener("keydown", (event) => this.move(event));
    this.svg.addEventListener("blur", () => this.show(null));
    new ResizeObserver(() => this.draw()).observe(byId("curves"));
  }

  /**
   * @param {Curve} curve
   * @param {number} index
   */
  switchOf({ title, runs }, index) {
    const box =
      /** @type {HTMLInputElement} */ (element("input", { type: "checkbox", checked: "" }));
    box.addEventListener("change", () => {
      this.isOn[index] = box.checked;
      this.draw();
    });
    const swatch = element("span", { class: "swatch" });
    swatch.style.setProperty("--hue", hue(index, this.curves.length));
    const value = element("span", { class: "switch-value" });
    const note = element("span", { class: "switch-runs" }, counted(runs, "run"));
    const name = element("span", {}, title);
    const label = element("label", { class: "switch" }, box, swatch, name, note, value);
    for (const start of ["pointerenter", "focusin"]) {
      label.addEventListener(start, () => this.pointAt(index));
    }
    for (const end of ["pointerleave", "focusout"]) {
      label.addEventListener(end, () => this.pointAt(-1));
    }
    return label;
  }

  /** @param {number} index */
  pointAt(index) {
    this.pointedAt = index;
    this.draw();
  }

  draw() {
    const { last } = this;
    const width = byId("curves").clientWidth;
    const shown = this.curves.filter((_, index) => this.isOn[index]);
    const [low, high] = limits(shown.length ? shown : this.curves);
    /** @param {number} epoch */
    const x = (epoch) => MARGIN.left + epoch / last * (width - MARGIN.left - MARGIN.right);
    /** @param {number} value */
    const y = (value) =>
      HEIGHT - MARGIN.bottom - (value - low) / (high - low) * (HEIGHT - MARGIN.top - MARGIN.bottom);
    this.svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    const parts = [...axes(x, y, low, high, last, width)];
    const clip = shape("g", { "clip-path": "url(#plot)" });
    this.curves.forEach(({ points }, index) => {
      if (!this.isOn[index]) return;
      const isFaint = this.isOn[this.pointedAt] && index !== this.pointedAt;
      const group = shape("g", { class: isFaint ? "curve is-faint" : "curve" });
      /** @type {SVGElement} */ (group).style.setProperty("--hue", hue(index, this.curves.length));
      const above = points.map(([, , highest], epoch) => `${x(epoch)},${y(highest)}`);
      const below = points.map(([lowest], epoch) => `${x(epoch)},${y(lowest)}`).reverse();
      group.append(
        shape("polygon", { class: "band", points: [...above, ...below].join(" ") }),
        shape("polyline", {
          class: "line",
          points: points.map(([, mean], epoch) => `${x(epoch)},${y(mean)}`).join(" "),
        }),
      );
      clip.append(group);
    });
    parts.push(
      shape(
        "clipPath",
        { id: "plot" },
        shape("rect", {
          x: MARGIN.left,
          y: MARGIN.top,
          width: Math.max(width - MARGIN.left - MARGIN.right, 0),
          height: HEIGHT - MARGIN.top - MARGIN.bottom,
        }),
      ),
      clip,
    );
    if (this.epoch !== null) {
      const line = { class: "pointer", x1: x(this.epoch), x2: x(this.epoch), y1: MARGIN.top };
      parts.push(shape("line", { ...line, y2: HEIGHT - MARGIN.bottom }));
    }
    this.svg.replaceChildren(...parts);
    this.write();
  }

  /** @param {PointerEvent} event */
  read(event) {
    const area = this.svg.getBoundingClientRect();
    const share = (event.clientX - area.left - MARGIN.left) /
      (area.width - MARGIN.left - MARGIN.right);
    this.show(Math.round(share * this.last));
  }

  /** @param {KeyboardEvent} event Arrow keys, Home and End choose an epoch. */
  move(event) {
    const epoch = this.epoch ?? this.last;
    const chosen =
      { ArrowLeft: epoch - 1, ArrowRight: epoch + 1, Home: 0, End: this.last }[event.key];
    if (chosen === undefined) return;
    event.preventDefault();
    this.show(chosen);
  }

  /** @param {number | null} epoch The one whose accuracies are shown; null for each curve's last. */
  show(epoch) {
    const shown = epoch === null ? null : Math.min(Math.max(epoch, 0), this.last);
    if (shown === this.epoch) return;
    this.epoch = shown;
    this.draw();
  }

  /** Write the accuracy of each model after the epoch that is shown. */
  write() {
    document.querySelectorAll(".switch-value").forEach((each, index) => {
      const { points } = this.curves[index];
      const point = this.epoch === null ? points.at(-1) : points[this.epoch];
      each.textContent = point?.[1].toFixed(2) ?? "–";
    });
    const shown = this.epoch === null ? "the last epoch" : `epoch ${this.epoch + 1}`;
    this.svg.setAttribute("aria-valuenow", String((this.epoch ?? this.last) + 1));
    this.svg.setAttribute("aria-valuetext", shown);
    byId("curves-note").replaceChildren(
      `The numbers are the means after ${shown}.`,
      element(
        "span",
        { class: "hint" },
        " Point at the chart, or reach it with Tab and press the arrow keys, for another one.",
      ),
    );
  }
}

/**
 * Return the limits of the accuracy axis. The first epochs are far from the differences that matter:
 * the second half of each curve has to be inside.
 *
 * @param {Curve[]} curves
 * @returns {[number, number]}
 */
function limits(curves) {
  const values = curves.flatMap(({ points }) => points.slice(Math.floor(points.length / 2)).flat());
  const [low, high] = values.length ? [Math.min(...values), Math.max(...values)] : [0, 100];
  const room = 0.06 * (high - low) || 0.5;
  return [low - room, high + room];
}

/**
 * @param {(epoch: number) => number} x
 * @param {(value: number) => number} y
 * @param {number} low
 * @param {number} high
 * @param {number} last
 * @param {number} width
 */
function* axes(x, y, low, high, last, width) {
  const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20].find((each) => (high - low) / each <= 7) ?? 50;
  for (let tick = Math.ceil(low / step); tick * step <= high; tick++) {
    const place = y(tick * step);
    yield shape("line", {
      class: "grid",
      x1: MARGIN.left,
      x2: width - MARGIN.right,
      y1: place,
      y2: place,
    });
    const at = { x: MARGIN.left - 8, y: place, dy: "0.32em", "text-anchor": "end" };
    yield shape("text", at, (tick * step).toFixed(step < 1 ? 1 : 0));
  }
  const every = Math.ceil((last + 1) / (width < 480 ? 8 : 14));
  for (let epoch = 0; epoch <= last; epoch += every) {
    const at = { x: x(epoch), y: HEIGHT - MARGIN.bottom + 18, "text-anchor": "middle" };
    yield shape("text", at, String(epoch + 1));
  }
  const middle = (MARGIN.left + width - MARGIN.right) / 2;
  yield shape("text", { x: middle, y: HEIGHT - 4, "text-anchor": "middle" }, "epoch");
}

/**
 * Return the hue of a model's color, in degrees: evenly spaced.
 *
 * @param {number} index
 * @param {number} count
 */
function hue(index, count) {
  return String(Math.round(250 + 360 * index / count) % 360);
}
