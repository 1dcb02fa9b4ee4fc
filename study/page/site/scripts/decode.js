/** Numbers from base64, as the page's data has them. */

/**
 * @param {string} text
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function decodeBytes(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

/**
 * @param {string} text Little-endian numbers of 32 bits.
 * @returns {Float32Array}
 */
export function decodeFloats(text) {
  const view = new DataView(decodeBytes(text).buffer);
  return Float32Array.from({ length: view.byteLength / 4 }, (_, i) => view.getFloat32(4 * i, true));
}
