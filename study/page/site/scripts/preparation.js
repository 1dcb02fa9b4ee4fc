/**
 * From a drawing to the picture that a network sees, as MNIST's makers did it: the ink is fitted into
 * 20x20 pixels with its proportions kept, which makes gray levels, and its center of mass is moved
 * to the center of 28x28 pixels (http://yann.lecun.com/exdb/mnist).
 */

import { SIDE } from "./network.js";

const BOX = 20;

/**
 * @typedef {{ left: number, top: number, width: number, height: number }} Box
 */

/**
 * Return the picture of a drawing; null if there is no ink.
 *
 * @param {Uint8Array} ink A square drawing, row by row: 0 without ink, 255 with.
 * @returns {Uint8Array | null}
 */
export function prepare(ink) {
  const side = Math.sqrt(ink.length);
  const box = boundingBox(ink, side);
  if (!box) return null;
  const scale = BOX / Math.max(box.width, box.height);
  const width = Math.max(1, Math.round(box.width * scale));
  const height = Math.max(1, Math.round(box.height * scale));
  return centered(shrunk(ink, side, box, width, height), width, height);
}

/**
 * Return a drawing as a picture without moving it: for an image of MNIST, which is prepared already.
 * Null if the picture is black.
 *
 * @param {Uint8Array} ink
 * @returns {Uint8Array | null}
 */
export function prepareInPlace(ink) {
  const side = Math.sqrt(ink.length);
  const whole = { left: 0, top: 0, width: side, height: side };
  const picture = Uint8Array.from(shrunk(ink, side, whole, SIDE, SIDE), Math.round);
  return picture.some(Boolean) ? picture : null;
}

/**
 * Return the smallest box with all ink; null if there is none.
 *
 * @param {Uint8Array} ink
 * @param {number} side
 * @returns {Box | null}
 */
export function boundingBox(ink, side) {
  let [left, right, top, bottom] = [side, -1, side, -1];
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      if (!ink[y * side + x]) continue;
      left = Math.min(left, x);
      right = Math.max(right, x);
      top = Math.min(top, y);
      bottom = y;
    }
  }
  return right < 0 ? null : { left, top, width: right + 1 - left, height: bottom + 1 - top };
}

/**
 * Return a box of a drawing in another size: each pixel is the mean of the area it covers.
 *
 * @param {Uint8Array} ink
 * @param {number} side
 * @param {Box} box
 * @param {number} width
 * @param {number} height
 */
function shrunk(ink, side, box, width, height) {
  const narrow = new Float64Array(box.height * width);
  for (let y = 0; y < box.height; y++) {
    const start = (box.top + y) * side + box.left;
    shrinkLine(ink, start, 1, box.width, narrow, y * width, 1, width);
  }
  const small = new Float64Array(height * width);
  for (let x = 0; x < width; x++) {
    shrinkLine(narrow, x, width, box.height, small, x, width, height);
  }
  return small;
}

/**
 * Write the means of equal parts of a row or a column: values that are `step` apart, from `start` on.
 *
 * @param {Uint8Array | Float64Array} from
 * @param {number} start
 * @param {number} step
 * @param {number} length Number of values to read.
 * @param {Float64Array} to
 * @param {number} toStart
 * @param {number} toStep
 * @param {number} count Number of means to write.
 */
function shrinkLine(from, start, step, length, to, toStart, toStep, count) {
  const size = length / count;
  for (let part = 0; part < count; part++) {
    const [first, end] = [part * size, Math.min((part + 1) * size, length)];
    let sum = 0;
    for (let p = Math.floor(first); p < end; p++) {
      sum += from[start + p * step] * (Math.min(end, p + 1) - Math.max(first, p));
    }
    to[toStart + part * toStep] = sum / size;
  }
}

/**
 * Return a small picture in the middle of one of 28x28, moved by whole pixels.
 *
 * In MNIST, the center of mass is within half a pixel of the pixel in row 14 and column 14.
 *
 * @param {Float64Array} values
 * @param {number} width
 * @param {number} height
 */
function centered(values, width, height) {
  let [sum, sumX, sumY] = [0, 0, 0];
  values.forEach((value, p) => {
    sum += value;
    sumX += value * (p % width);
    sumY += value * Math.floor(p / width);
  });
  const left = offset(sumX / sum, width);
  const top = offset(sumY / sum, height);
  const picture = new Uint8Array(SIDE * SIDE);
  values.forEach((value, p) => {
    const [x, y] = [p % width, Math.floor(p / width)];
    picture[(top + y) * SIDE + left + x] = Math.round(value);
  });
  return picture;
}

/**
 * Return where a stretch of pixels begins if its center of mass goes to pixel 14, inside the picture.
 *
 * @param {number} center
 * @param {number} length
 */
function offset(center, length) {
  return Math.min(Math.max(Math.round(SIDE / 2 - center), 0), SIDE - length);
}
