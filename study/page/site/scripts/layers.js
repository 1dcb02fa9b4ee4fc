/**
 * The layers of a network after training, as plain loops over numbers.
 *
 * Each kind makes its output from its input. Both are maps: one grid of numbers per channel, row by
 * row, channel by channel.
 *
 * @typedef {{ channels: number, height: number, width: number, values: Float64Array }} Maps
 *
 * @typedef {object} Layer
 * @property {"convolution" | "scale" | "relu" | "max_pool" | "average_pool"} kind
 * @property {boolean} normalized True if batch normalization is in the weights.
 * @property {{ size: number, jump: number, start: number }} field Position p of the output sees
 *   `size` pixels of the image along each axis, from `start + p * jump` on.
 * @property {number} [channels]
 * @property {number} [inputs]
 * @property {number} [outputs]
 * @property {number} [groups]
 * @property {number} [kernel]
 * @property {number} [stride]
 * @property {number} [padding]
 * @property {number} [dilation]
 * @property {Float64Array} [weights] Of a convolution, [output][input][row][column]; or the scales.
 * @property {Float64Array} [bias] Of a convolution, by output; or the shifts.
 */

/** @type {Record<string, (input: Maps, layer: any) => Maps>} */
export const LAYERS = {
  convolution,
  scale,
  relu,
  max_pool: maxPool,
  average_pool: averagePool,
};

/**
 * @param {number} channels
 * @param {number} height
 * @param {number} width
 * @returns {Maps}
 */
export function emptyMaps(channels, height, width) {
  return { channels, height, width, values: new Float64Array(channels * height * width) };
}

/**
 * @param {Maps} input
 * @param {any} layer
 */
function convolution(input, layer) {
  const { inputs, outputs, groups, kernel, stride, padding, dilation, weights, bias } = layer;
  const source = padding ? padded(input, padding) : input;
  const reach = dilation * (kernel - 1) + 1;
  const output = emptyMaps(
    outputs,
    Math.floor((source.height - reach) / stride) + 1,
    Math.floor((source.width - reach) / stride) + 1,
  );
  const add = kernel === 1 && stride === 1
    ? addPoints
    : kernel === 3 && stride === 1 && dilation === 1
    ? addWindows3
    : addWindows;
  const area = output.height * output.width;
  const [inputsOfGroup, outputsOfGroup] = [inputs / groups, outputs / groups];
  for (let o = 0; o < outputs; o++) {
    output.values.fill(bias[o], o * area, (o + 1) * area);
    const first = Math.floor(o / outputsOfGroup) * inputsOfGroup;
    for (let i = 0; i < inputsOfGroup; i++) {
      add(output, o, source, first + i, weights, (o * inputsOfGroup + i) * kernel * kernel, layer);
    }
  }
  return output;
}

/**
 * Add to one map of the output what a 1x1 window sees of one map of the input.
 *
 * @param {Maps} output
 * @param {number} o
 * @param {Maps} input
 * @param {number} i
 * @param {Float64Array} weights
 * @param {number} w Where the weights of this window begin.
 */
function addPoints(output, o, input, i, weights, w) {
  const area = output.height * output.width;
  const [to, from, weight] = [output.values, input.values, weights[w]];
  const [toStart, fromStart] = [o * area, i * area];
  for (let p = 0; p < area; p++) to[toStart + p] += weight * from[fromStart + p];
}

/**
 * The same for a 3x3 window: nine numbers at once, as most of the time goes here.
 *
 * @param {Maps} output
 * @param {number} o
 * @param {Maps} input
 * @param {number} i
 * @param {Float64Array} weights
 * @param {number} w
 */
function addWindows3(output, o, input, i, weights, w) {
  const [to, from, width] = [output.values, input.values, output.width];
  const w0 = weights[w], w1 = weights[w + 1], w2 = weights[w + 2];
  const w3 = weights[w + 3], w4 = weights[w + 4], w5 = weights[w + 5];
  const w6 = weights[w + 6], w7 = weights[w + 7], w8 = weights[w + 8];
  for (let y = 0; y < output.height; y++) {
    const above = (i * input.height + y) * input.width;
    const middle = above + input.width;
    const below = middle + input.width;
    const start = (o * output.height + y) * width;
    let a0 = from[above], a1 = from[above + 1];
    let b0 = from[middle], b1 = from[middle + 1];
    let c0 = from[below], c1 = from[below + 1];
    for (let x = 0; x < width; x++) {
      const a2 = from[above + x + 2], b2 = from[middle + x + 2], c2 = from[below + x + 2];
      to[start + x] += w0 * a0 + w1 * a1 + w2 * a2 +
        (w3 * b0 + w4 * b1 + w5 * b2) +
        (w6 * c0 + w7 * c1 + w8 * c2);
      a0 = a1;
      a1 = a2;
      b0 = b1;
      b1 = b2;
      c0 = c1;
      c1 = c2;
    }
  }
}

/**
 * The same for a window of any size, stride and dilation.
 *
 * @param {Maps} output
 * @param {number} o
 * @param {Maps} input
 * @param {number} i
 * @param {Float64Array} weights
 * @param {number} w
 * @param {any} layer
 */
function addWindows(output, o, input, i, weights, w, { kernel, stride, dilation }) {
  const { height, width } = output;
  for (let ky = 0; ky < kernel; ky++) {
    for (let kx = 0; kx < kernel; kx++) {
      const weight = weights[w + ky * kernel + kx];
      for (let y = 0; y < height; y++) {
        const to = (o * height + y) * width;
        const row = i * input.height + y * stride + ky * dilation;
        const from = row * input.width + kx * dilation;
        for (let x = 0; x < width; x++) {
          output.values[to + x] += weight * input.values[from + x * stride];
        }
      }
    }
  }
}

/**
 * @param {Maps} input
 * @param {number} padding Number of zeros on each side.
 */
function padded(input, padding) {
  const { channels, height, width, values } = input;
  const output = emptyMaps(channels, height + 2 * padding, width + 2 * padding);
  for (let c = 0; c < channels; c++) {
    for (let y = 0; y < height; y++) {
      const from = (c * height + y) * width;
      const to = (c * output.height + y + padding) * output.width + padding;
      output.values.set(values.subarray(from, from + width), to);
    }
  }
  return output;
}

/**
 * @param {Maps} input
 * @param {any} layer
 */
function scale(input, { weights, bias }) {
  const output = emptyMaps(input.channels, input.height, input.width);
  const area = input.height * input.width;
  for (let c = 0; c < input.channels; c++) {
    for (let p = c * area; p < (c + 1) * area; p++) {
      output.values[p] = weights[c] * input.values[p] + bias[c];
    }
  }
  return output;
}

/** @param {Maps} input */
function relu(input) {
  const output = emptyMaps(input.channels, input.height, input.width);
  for (let p = 0; p < output.values.length; p++) output.values[p] = Math.max(input.values[p], 0);
  return output;
}

/**
 * @param {Maps} input
 * @param {any} layer
 */
function maxPool(input, layer) {
  return pooled(input, layer, (a, b) => Math.max(a, b), -Infinity, 1);
}

/**
 * @param {Maps} input
 * @param {any} layer
 */
function averagePool(input, layer) {
  return pooled(input, layer, (a, b) => a + b, 0, 1 / layer.kernel ** 2);
}

/**
 * @param {Maps} input
 * @param {any} layer
 * @param {(a: number, b: number) => number} join
 * @param {number} first
 * @param {number} factor
 */
function pooled(input, { kernel, stride }, join, first, factor) {
  const output = emptyMaps(
    input.channels,
    Math.floor((input.height - kernel) / stride) + 1,
    Math.floor((input.width - kernel) / stride) + 1,
  );
  let p = 0;
  for (let c = 0; c < output.channels; c++) {
    for (let y = 0; y < output.height; y++) {
      for (let x = 0; x < output.width; x++) {
        let value = first;
        for (let ky = 0; ky < kernel; ky++) {
          const row = (c * input.height + y * stride + ky) * input.width + x * stride;
          for (let kx = 0; kx < kernel; kx++) value = join(value, input.values[row + kx]);
        }
        output.values[p++] = value * factor;
      }
    }
  }
  return output;
}
