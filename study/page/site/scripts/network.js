/** A trained network: from a picture to logits, with the maps of every layer on the way. */

import { decodeFloats } from "./decode.js";
import { emptyMaps, LAYERS } from "./layers.js";

export const SIDE = 28;

export class Network {
  /**
   * @param {any} model Its name, layers and numbers, from study/page/network_export.py.
   * @param {{ mean: number, sd: number }} scaling Of the pixels of its input, from 0 to 1.
   */
  constructor(model, scaling) {
    this.name = /** @type {string} */ (model.name);
    this.title = /** @type {string} */ (model.title);
    this.parameters = /** @type {number} */ (model.parameters);
    this.scaling = scaling;
    this.layers = withNumbers(model.layers, decodeFloats(model.numbers));
  }

  /**
   * Return the output of each layer for a picture of 28x28 pixels from 0 to 255.
   *
   * @param {Uint8Array} pixels
   * @returns {import("./layers.js").Maps[]}
   */
  run(pixels) {
    let maps = emptyMaps(1, SIDE, SIDE);
    const { mean, sd } = this.scaling;
    for (let p = 0; p < pixels.length; p++) maps.values[p] = (pixels[p] / 255 - mean) / sd;
    return this.layers.map((layer) => {
      maps = LAYERS[layer.kind](maps, layer);
      return maps;
    });
  }
}

/**
 * Return layers with what they learned: the weights, then the bias of each.
 *
 * @param {any[]} layers
 * @param {Float32Array} numbers Of all layers, one after the other.
 * @returns {import("./layers.js").Layer[]}
 */
function withNumbers(layers, numbers) {
  let next = 0;
  /** @param {number} count */
  const take = (count) => Float64Array.from(numbers.subarray(next, next += count));
  return layers.map((layer) => {
    if (layer.kind === "convolution") {
      const { inputs, outputs, groups, kernel } = layer;
      const weights = take(outputs * (inputs / groups) * kernel ** 2);
      return { ...layer, weights, bias: take(outputs) };
    }
    if (layer.kind === "scale") {
      return { ...layer, weights: take(layer.channels), bias: take(layer.channels) };
    }
    return layer;
  });
}

/**
 * Return the probability of each digit.
 *
 * @param {ArrayLike<number>} logits
 */
export function softmax(logits) {
  const greatest = Math.max(...Array.from(logits));
  const powers = Array.from(logits, (logit) => Math.exp(logit - greatest));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / sum);
}
