/** Elements of the page. */

/**
 * Return the element with an id.
 *
 * @param {string} id
 */
export function byId(id) {
  return /** @type {HTMLElement} */ (document.getElementById(id));
}

/**
 * Show a section from its top. The focus moves to its title: Tab goes on from there.
 *
 * @param {string} section
 */
export function goTo(section) {
  byId(section).scrollIntoView();
  byId(`${section}-title`).focus({ preventScroll: true });
}

/**
 * Return a new HTML element: `element("button", { type: "button" }, "Undo")`.
 *
 * @param {string} name
 * @param {Record<string, string | number>} attributes
 * @param {(Node | string)[]} children
 */
export function element(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

/**
 * Return a new SVG element.
 *
 * @param {string} name
 * @param {Record<string, string | number>} attributes
 * @param {(Node | string)[]} children
 */
export function shape(name, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

/**
 * @template {Element} E
 * @param {E} node
 * @param {Record<string, string | number>} attributes
 * @param {(Node | string)[]} children
 */
function filled(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, String(value));
  node.append(...children);
  return node;
}

/**
 * Return the context of a canvas.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {CanvasRenderingContext2DSettings} settings
 */
export function contextOf(canvas, settings = {}) {
  return /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", settings));
}

/**
 * Return words as a list for use in a sentence: `a, b and c`.
 *
 * @param {string[]} words
 */
export function listed(words) {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}

/**
 * Return a number with a word, in the plural unless it is 1.
 *
 * @param {number} count
 * @param {string} word
 */
export function counted(count, word) {
  return `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;
}

/**
 * Return a digit with its article: `an 8`, `a 3`.
 *
 * @param {number} digit
 */
export function withArticle(digit) {
  return `${digit === 8 ? "an" : "a"} ${digit}`;
}
