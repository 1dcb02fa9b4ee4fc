/** Inside a model: the maps of each layer, and what a place on a map sees of the picture. */

import { byId, contextOf, element } from "./dom.js";
import { SIDE } from "./network.js";

/** Side of a map, in pixels of the page. */
const TILE = 56;
/** The same for a map of one number; the gap next to it is as wide. */
const NUMBER = 16;
/** Red, green and blue of the greatest negative value, of zero and of the greatest positive one. */
const NEGATIVE = [92, 160, 255];
const ZERO = [24, 33, 30];
const POSITIVE = [255, 196, 92];

/**
 * @typedef {import("./layers.js").Layer} Layer
 * @typedef {import("./layers.js").Maps} Maps
 *
 * A step is a layer with the layers behind it that change each number by itself.
 * @typedef {{ last: number, name: string }} Step
 *
 * @typedef {{ channel: number, y: number, x: number }} Place
 */

/** @type {Record<Layer["kind"], (layer: Layer) => string>} */
const NAMES = {
  convolution: (layer) => {
    const { inputs, groups = 1, kernel, normalized } = layer;
    const window = `${kernel}×${kernel}`;
    const kind = groups > 1 && groups === inputs ? "depthwise convolution" : "convolution";
    return `${window} ${kind}${normalized ? " + batch norm" : ""}`;
  },
  scale: () => "batch norm",
  relu: () => "ReLU",
  max_pool: ({ kernel }) => `${kernel}×${kernel} max pooling`,
  average_pool: ({ kernel }) => `${kernel}×${kernel} average pooling`,
};

/**
 * Return the steps of a network: convolutions and poolings, each with what directly follows.
 *
 * @param {Layer[]} layers
 * @returns {Step[]}
 */
function stepsOf(layers) {
  /** @type {Step[]} */
  const steps = [];
  layers.forEach((layer, index) => {
    const name = NAMES[layer.kind](layer);
    const isPointwise = layer.kind === "relu" || layer.kind === "scale";
    const previous = steps.at(-1);
    if (isPointwise && previous) {
      previous.name += ` → ${name}`;
      previous.last = index;
    } else {
      steps.push({ last: index, name: name[0].toUpperCase() + name.slice(1) });
    }
  });
  return steps;
}

export class Inside {
  constructor() {
    /** @type {LayerView[]} */
    this.views = [];
    /** @type {Maps[]} */
    this.maps = [];
    /** Width that the maps of a layer may have, in pixels of the page. */
    this.room = 0;
    /** @type {{ place: Place, view: LayerView } | null} */
    this.pointed = null;
    // Maps are drawn only when they come into sight; otherwise, answers would wait for all.
    this.observer = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        const view = this.views.find(({ item }) => item === target);
        if (!view) continue;
        view.isVisible = isIntersecting;
        if (isIntersecting) this.drawView(view);
      }
    });
    new ResizeObserver(() => this.drawAll()).observe(byId("layers"));
    addEventListener("beforeprint", () => this.drawAll());
  }

  /**
   * @param {import("./network.js").Network} network
   * @param {Maps[]} maps Output of each layer.
   */
  choose(network, maps) {
    byId("inside-name").textContent = network.title;
    this.observer.disconnect();
    this.views = stepsOf(network.layers).map((step) =>
      new LayerView(
        network.layers[step.last],
        step,
        maps[step.last],
        (place, view) => this.point(place, view),
      )
    );
    byId("layers").replaceChildren(...this.views.map(({ item }) => item));
    for (const { item } of this.views) this.observer.observe(item);
    this.point(null, null);
    this.maps = maps;
    this.drawAll();
  }

  /** @param {Maps[]} maps Output of each layer. */
  show(maps) {
    this.maps = maps;
    for (const view of this.views) {
      if (view.isVisible || view === this.pointed?.view) this.drawView(view);
    }
  }

  drawAll() {
    this.room = this.views[0]?.canvas.parentElement?.clientWidth ?? 0;
    for (const view of this.views) this.drawView(view);
  }

  /** @param {LayerView} view */
  drawView(view) {
    view.draw(this.maps[view.step.last], this.room);
    if (view === this.pointed?.view) view.pointAt(this.pointed.place);
  }

  /**
   * Show what a place sees of the picture.
   *
   * @param {Place | null} place
   * @param {LayerView | null} view
   */
  point(place, view) {
    // The pointer may have left this map for another one, which is marked already.
    if (!place && view && this.pointed && this.pointed.view !== view) return;
    this.pointed = place && view && { place, view };
    const frame = byId("field");
    frame.toggleAttribute("hidden", !place);
    for (const each of this.views) if (each !== view) each.unmark();
    if (!place || !view) {
      byId("reading").textContent =
        "Point at a map, or reach it with Tab and move with the arrow keys: the frame shows what that place sees of the picture.";
      return;
    }
    const { size, jump, start } = view.layer.field;
    const [left, top] = [start + place.x * jump, start + place.y * jump];
    for (const [key, value] of Object.entries({ x: left, y: top, width: size, height: size })) {
      frame.setAttribute(key, String(value));
    }
    const value = view.valueAt(place);
    const digit = view.isLast ? `Logit of digit ${place.channel}` : `Channel ${place.channel + 1}`;
    const where = view.isLast ? "" : `, row ${place.y + 1}, column ${place.x + 1}`;
    byId("reading").textContent = `${digit}${where}: ${value.toFixed(2).replace("-", "−")}. ` +
      `It sees ${inPicture(top, size)}×${inPicture(left, size)} pixels of the picture.`;
  }
}

/** The maps of one layer, all on one canvas. */
class LayerView {
  /**
   * @param {Layer} layer
   * @param {Step} step
   * @param {Maps} maps
   * @param {(place: Place | null, view: LayerView) => void} onPoint
   */
  constructor(layer, step, maps, onPoint) {
    this.layer = layer;
    this.step = step;
    this.maps = maps;
    this.onPoint = onPoint;
    /** @type {Place} */
    this.place = { channel: 0, y: 0, x: 0 };
    this.isVisible = false;
    this.columns = 1;
    this.zoom = 1;
    this.canvas = /** @type {HTMLCanvasElement} */ (element("canvas", {
      tabindex: "0",
      role: "application", // a screen reader leaves the arrow keys to it
      "aria-label": `Maps: ${step.name}`,
      "aria-describedby": "reading",
    }));
    this.cursor = element("span", { class: "cursor", hidden: "" });
    this.digits = element("span", { class: "digits", "aria-hidden": "true" });
    this.shape = element("span", { class: "layer-shape" });
    const { size } = layer.field;
    this.item = element(
      "li",
      { class: "layer" },
      element(
        "div",
        { class: "layer-text" },
        element("span", { class: "layer-name" }, step.name),
        this.shape,
        element(
          "span",
          { class: "layer-field" },
          `sees ${inPicture(0, size)}×${inPicture(0, size)} pixels`,
        ),
      ),
      element("div", { class: "layer-maps" }, this.canvas, this.cursor, this.digits),
    );
    for (const kind of /** @type {const} */ (["pointermove", "pointerdown"])) {
      this.canvas.addEventListener(kind, (event) => this.pointAt(this.placeOf(event)));
    }
    this.canvas.addEventListener("pointerleave", ({ pointerType }) => {
      if (pointerType !== "touch") this.pointAt(null); // a finger leaves as soon as it is lifted
    });
    this.canvas.addEventListener("blur", () => this.pointAt(null));
    this.canvas.addEventListener("focus", () => {
      if (this.canvas.matches(":focus-visible")) this.pointAt(this.place);
    });
    this.canvas.addEventListener("keydown", (event) => this.move(event));
  }

  /** True for the logits: one number per digit. */
  get isLast() {
    return this.item.parentElement?.lastElementChild === this.item;
  }

  /**
   * @param {Maps} maps
   * @param {number} room Width that they may have.
   */
  draw(maps, room) {
    this.maps = maps;
    const { channels, height, width } = maps;
    this.shape.textContent = height * width === 1
      ? `${channels} numbers`
      : `${channels} maps of ${height}×${width}`;
    this.zoom = Math.max(1, Math.round((width === 1 ? NUMBER : TILE) / width));
    this.columns = Math.max(1, Math.min(channels, Math.floor(room / ((width + 1) * this.zoom))));
    const rows = Math.ceil(channels / this.columns);
    const image = new ImageData(this.columns * (width + 1), rows * (height + 1));
    this.labelDigits(channels);
    const greatest = maps.values.reduce((a, b) => Math.max(a, Math.abs(b)), 1e-9);
    maps.values.forEach((value, index) => {
      const channel = Math.floor(index / (height * width));
      const y = Math.floor(channel / this.columns) * (height + 1) +
        Math.floor(index / width) % height;
      const x = (channel % this.columns) * (width + 1) + index % width;
      paint(image, y * image.width + x, value / greatest);
    });
    Object.assign(this.canvas, { width: image.width, height: image.height });
    this.canvas.style.width = `${image.width * this.zoom}px`;
    contextOf(this.canvas).putImageData(image, 0, 0);
  }

  /** @param {number} channels Write the digits below the logits, if all are in one row. */
  labelDigits(channels) {
    const count = this.isLast && this.columns === channels ? channels : 0;
    if (this.digits.childElementCount === count) return;
    this.digits.replaceChildren(
      ...Array.from({ length: count }, (_, digit) => element("span", {}, String(digit))),
    );
  }

  /** @param {Place} place */
  valueAt({ channel, y, x }) {
    const { height, width, values } = this.maps;
    return values[(channel * height + y) * width + x];
  }

  /** @param {Place | null} place */
  pointAt(place) {
    if (!place) {
      this.unmark();
      this.onPoint(null, this);
      return;
    }
    this.place = place;
    const { height, width } = this.maps;
    const column = (place.channel % this.columns) * (width + 1) + place.x;
    const row = Math.floor(place.channel / this.columns) * (height + 1) + place.y;
    Object.assign(this.cursor.style, {
      left: `${column * this.zoom}px`,
      top: `${row * this.zoom}px`,
      width: `${this.zoom}px`,
      height: `${this.zoom}px`,
    });
    this.cursor.toggleAttribute("hidden", false);
    this.onPoint(place, this);
  }

  unmark() {
    this.cursor.toggleAttribute("hidden", true);
  }

  /**
   * Return the place under a pointer; null between maps.
   *
   * @param {PointerEvent} event
   * @returns {Place | null}
   */
  placeOf(event) {
    const { channels, height, width } = this.maps;
    const column = Math.floor(event.offsetX / this.zoom);
    const row = Math.floor(event.offsetY / this.zoom);
    const channel = Math.floor(row / (height + 1)) * this.columns +
      Math.floor(column / (width + 1));
    const [y, x] = [row % (height + 1), column % (width + 1)];
    const isOnMap = y >= 0 && x >= 0 && y < height && x < width && channel < channels;
    return isOnMap ? { channel, y, x } : null;
  }

  /** @param {KeyboardEvent} event Arrow keys move within a map, and from its edge to the next one. */
  move(event) {
    const { channels, height, width } = this.maps;
    const step =
      { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (!step) return;
    event.preventDefault();
    let { channel, y, x } = this.place;
    [y, x] = [y + step[0], x + step[1]];
    if (x < 0 || x >= width) channel += step[1];
    if (y < 0 || y >= height) channel += step[0] * this.columns;
    if (channel < 0 || channel >= channels) return;
    this.pointAt({ channel, y: (y + height) % height, x: (x + width) % width });
  }
}

/**
 * Return how many of some pixels in a row are in the picture.
 *
 * @param {number} first
 * @param {number} count
 */
function inPicture(first, count) {
  return Math.min(first + count, SIDE) - Math.max(first, 0);
}

/**
 * Paint a pixel in the color of a value from -1 to 1.
 *
 * @param {ImageData} image
 * @param {number} pixel
 * @param {number} value
 */
function paint(image, pixel, value) {
  const end = value < 0 ? NEGATIVE : POSITIVE;
  const share = Math.sqrt(Math.abs(value)); // small values would be too dark to see
  for (let c = 0; c < 3; c++) image.data[4 * pixel + c] = ZERO[c] + share * (end[c] - ZERO[c]);
  image.data[4 * pixel + 3] = 255;
}
