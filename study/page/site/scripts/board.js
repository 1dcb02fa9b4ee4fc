/** The board: draw, erase, undo, clear, and load a picture to change. */

import { contextOf } from "./dom.js";
import { SIDE } from "./network.js";
import { boundingBox, prepare, prepareInPlace } from "./preparation.js";

/** Pixels of the board per pixel of a picture, along each axis. */
const ZOOM = 16;
const BOARD = ZOOM * SIDE;
/** Width of the pen. In a drawing whose side is USUAL, lines are about as thick as MNIST's. */
const PEN = 38;
const USUAL = 0.75 * BOARD;
const ERASER = 64;
const CHALK = 0xf4;
const PEN_BUTTON = 1;
const ERASER_BUTTON = 32;

/**
 * @typedef {{ kind: "line", erases: boolean, points: [number, number][] }} Line
 *
 * An image of the evaluation set.
 * @typedef {{ image: number, label: number, isMisread: boolean }} Source
 *
 * @typedef {{ kind: "picture", pixels: Uint8Array, source: Source }} Picture
 * @typedef {Line | Picture | { kind: "clear" }} Action
 */

export class Board {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {(since: number) => void} onChange Called once per frame with the time of the first event.
   */
  constructor(canvas, onChange) {
    canvas.width = canvas.height = BOARD;
    this.canvas = canvas;
    this.context = chalk(canvas);
    /** A small drawing, again with thinner lines. */
    this.thinned = chalk(square(BOARD));
    this.onChange = onChange;
    this.erases = false;
    /** @type {Action[]} */
    this.actions = [];
    /** @type {Line | null} */
    this.line = null;
    /** The pointer that draws the line. */
    this.pointer = -1;
    /** @type {number | null} */
    this.changedAt = null;
    // A stroke may begin beside the board.
    for (const start of /** @type {const} */ (["pointerdown", "pointerenter"])) {
      canvas.addEventListener(start, (event) => this.begin(event));
    }
    canvas.addEventListener("pointermove", (event) => this.extend(event));
    for (const end of /** @type {const} */ (["pointerup", "pointercancel"])) {
      canvas.addEventListener(end, (event) => {
        if (event.pointerId === this.pointer) this.line = null;
      });
    }
  }

  /** True if nothing can be undone. */
  get isUntouched() {
    return this.actions.length === 0;
  }

  /**
   * Return the picture of the board for a network; null if it is empty.
   *
   * @returns {Uint8Array | null}
   */
  picture() {
    const ink = inkOf(this.context);
    if (this.loaded) return prepareInPlace(ink);
    const pen = penFor(ink);
    if (pen === PEN) return prepare(ink);
    this.thinned.clearRect(0, 0, BOARD, BOARD);
    for (const line of this.lines()) drawLine(this.thinned, line, 0, pen);
    // The eraser may have left no more than the edges of a line, which the thin one lacks.
    return prepare(inkOf(this.thinned)) ?? prepare(ink);
  }

  /** Return the lines since the board was last empty. */
  lines() {
    const start = this.actions.findLastIndex((action) => action.kind !== "line");
    return this.actions.slice(start + 1).filter((action) => action.kind === "line");
  }

  /** The picture that was loaded and not cleared since; it is not centered again. */
  get loaded() {
    const last = this.actions.findLast((action) => action.kind !== "line");
    return last?.kind === "picture" ? last : null;
  }

  /** True if there are lines on the picture that was loaded. */
  get isChanged() {
    return this.loaded !== null && this.loaded !== this.actions.at(-1);
  }

  /**
   * Replace everything by a picture.
   *
   * @param {Uint8Array} pixels
   * @param {Source} source
   */
  load(pixels, source) {
    this.act({ kind: "picture", pixels, source });
  }

  clear() {
    if (this.actions.length && this.actions.at(-1)?.kind !== "clear") this.act({ kind: "clear" });
  }

  undo() {
    this.line = null;
    this.actions.pop();
    const start = this.actions.findLastIndex((action) => action.kind !== "line");
    this.wipe();
    this.actions.slice(Math.max(start, 0)).forEach((action) => this.draw(action));
    this.change(performance.now());
  }

  /** @param {Action} action */
  act(action) {
    this.line = null;
    this.actions.push(action);
    this.draw(action);
    this.change(performance.now());
  }

  /** @param {PointerEvent} event */
  begin(event) {
    if (this.line || !(event.buttons & (PEN_BUTTON | ERASER_BUTTON))) return;
    event.preventDefault();
    this.canvas.setPointerCapture(event.pointerId);
    this.pointer = event.pointerId;
    // What is drawn after a picture has been erased is centered.
    if (this.loaded && !this.picture()) this.clear();
    const erases = this.erases || Boolean(event.buttons & ERASER_BUTTON);
    this.line = { kind: "line", erases, points: [this.place(event)] };
    this.actions.push(this.line);
    drawLine(this.context, this.line, 0, PEN);
    this.change(event.timeStamp);
  }

  /** @param {PointerEvent} event */
  extend(event) {
    if (!this.line || event.pointerId !== this.pointer) return;
    const known = this.line.points.length;
    const events = event.getCoalescedEvents?.() ?? []; // not in every browser
    for (const each of events.length ? events : [event]) this.line.points.push(this.place(each));
    drawLine(this.context, this.line, known, PEN);
    this.change(event.timeStamp);
  }

  /**
   * Return the place of a pointer on the board.
   *
   * @param {PointerEvent} event
   * @returns {[number, number]}
   */
  place(event) {
    const area = this.canvas.getBoundingClientRect();
    const zoom = BOARD / area.width;
    return [(event.clientX - area.left) * zoom, (event.clientY - area.top) * zoom];
  }

  /** @param {Action} action */
  draw(action) {
    if (action.kind === "line") return drawLine(this.context, action, 0, PEN);
    this.wipe();
    if (action.kind === "picture") drawPicture(this.context, action.pixels, ZOOM);
  }

  wipe() {
    this.context.clearRect(0, 0, BOARD, BOARD);
  }

  /** @param {number} since */
  change(since) {
    if (this.changedAt === null) {
      this.changedAt = since;
      requestAnimationFrame(() => {
        const first = /** @type {number} */ (this.changedAt);
        this.changedAt = null;
        this.onChange(first);
      });
    }
  }
}

/**
 * Return a canvas as high as wide, which is not on the page.
 *
 * @param {number} side
 */
function square(side) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = side;
  return canvas;
}

/**
 * Return the context of a canvas, to draw on with chalk.
 *
 * @param {HTMLCanvasElement} canvas
 */
function chalk(canvas) {
  const context = contextOf(canvas, { willReadFrequently: true });
  context.lineCap = context.lineJoin = "round";
  context.strokeStyle = context.fillStyle = `rgb(${CHALK} ${CHALK} ${CHALK})`;
  context.imageSmoothingEnabled = false;
  return context;
}

/**
 * Return how much ink each pixel of a board has, row by row.
 *
 * @param {CanvasRenderingContext2D} context
 */
function inkOf(context) {
  const { data } = context.getImageData(0, 0, BOARD, BOARD);
  const ink = new Uint8Array(BOARD * BOARD);
  for (let p = 0; p < ink.length; p++) ink[p] = data[4 * p + 3];
  return ink;
}

/**
 * Return the width of the pen that makes lines as thick as MNIST's once the drawing is fitted: a small
 * drawing is enlarged, so that the board's pen would fill its holes with ink.
 *
 * @param {Uint8Array} ink The drawing with the board's pen.
 */
function penFor(ink) {
  const box = boundingBox(ink, BOARD);
  if (!box) return PEN;
  // The side of the drawing is that of its points and the width: width = PEN * side / USUAL.
  const pen = PEN * (Math.max(box.width, box.height) - PEN) / (USUAL - PEN);
  return Math.min(Math.max(pen, PEN / 4), PEN);
}

/**
 * Draw a line from one of its points on. Each part is drawn by itself: at once or in steps, the
 * result is the same.
 *
 * @param {CanvasRenderingContext2D} context
 * @param {Line} line
 * @param {number} first
 * @param {number} pen Width of a line that does not erase.
 */
function drawLine(context, { erases, points }, first, pen) {
  context.globalCompositeOperation = erases ? "destination-out" : "source-over";
  context.lineWidth = erases ? ERASER : pen;
  for (let index = first; index < points.length; index++) {
    context.beginPath();
    if (index === 0) {
      context.arc(...points[0], context.lineWidth / 2, 0, 2 * Math.PI);
      context.fill();
    } else {
      context.moveTo(...points[index - 1]);
      context.lineTo(...points[index]);
      context.stroke();
    }
  }
  context.globalCompositeOperation = "source-over";
}

/**
 * Draw a picture of 28x28 pixels in chalk; where it is 0, the canvas stays as it is.
 *
 * @param {CanvasRenderingContext2D} context
 * @param {Uint8Array} pixels
 * @param {number} zoom
 */
export function drawPicture(context, pixels, zoom) {
  const image = new ImageData(SIDE, SIDE);
  pixels.forEach((value, p) => image.data.set([CHALK, CHALK, CHALK, value], 4 * p));
  const small = square(SIDE);
  contextOf(small).putImageData(image, 0, 0);
  context.drawImage(small, 0, 0, SIDE * zoom, SIDE * zoom);
}

/**
 * Return a canvas of 28x28 pixels with a picture.
 *
 * @param {Uint8Array} pixels
 */
export function pictureCanvas(pixels) {
  const canvas = square(SIDE);
  canvas.className = "picture";
  drawPicture(contextOf(canvas), pixels, 1);
  return canvas;
}
