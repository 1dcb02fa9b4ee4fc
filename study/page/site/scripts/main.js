/** The page: what is drawn goes through all networks, and their answers are shown. */

import { Answers } from "./answers.js";
import { Board, drawPicture } from "./board.js";
import { Curves } from "./curves.js";
import { decodeBytes } from "./decode.js";
import { byId, contextOf, counted, element, goTo, withArticle } from "./dom.js";
import { Gallery } from "./gallery.js";
import { Inside } from "./inside.js";
import { Network, SIDE, softmax } from "./network.js";
import { makeSortable } from "./table.js";

const BLANK = new Uint8Array(SIDE ** 2);

const data = JSON.parse(/** @type {string} */ (byId("data").textContent));
/** @type {Network[]} */
const networks = data.models.map((/** @type {any} */ model) => new Network(model, data));
/** @param {any} each Its pixels as base64. */
const withPixels = (each) => ({ ...each, pixels: decodeBytes(each.pixels) });
/** @type {import("./gallery.js").Misread[]} */
const misread = data.digits.misread.map(withPixels);
/** @type {{ image: number, pixels: Uint8Array }[][]} */
const examples = data.digits.examples.map((/** @type {any[]} */ ofDigit) =>
  ofDigit.map(withPixels)
);

let chosenModel = 0;
const shownExamples = examples.map(() => -1);

const seen = ["seen", "inside-picture"].map((id) =>
  contextOf(/** @type {HTMLCanvasElement} */ (byId(id)))
);
const board = new Board(/** @type {HTMLCanvasElement} */ (byId("board")), answer);
const inside = new Inside();
const answers = new Answers(networks, (index) => {
  chooseModel(index);
  goTo("inside");
});
const gallery = new Gallery(
  misread,
  data.digits.groups,
  networks.map(({ title }) => title),
  ({ image, label, pixels }) => board.load(pixels, { image, label, isMisread: true }),
);

/**
 * Show the answers to what is on the board.
 *
 * @param {number} since Time of the event that changed it.
 */
function answer(since) {
  const picture = board.picture();
  const outputs = picture && networks.map((network) => network.run(picture));
  const found = outputs && outputs.map((maps) => {
    const logits = /** @type {import("./layers.js").Maps} */ (maps.at(-1)).values;
    return { digit: logits.indexOf(Math.max(...logits)), probabilities: softmax(logits) };
  });
  answers.show(found, board.loaded && !board.isChanged ? board.loaded.source.label : null);
  for (const context of seen) {
    context.clearRect(0, 0, SIDE, SIDE);
    if (picture) drawPicture(context, picture, 1);
  }
  showSource(picture !== null);
  document.body.classList.toggle("is-blank", !picture);
  byId("undo").toggleAttribute("disabled", board.isUntouched);
  const time = Math.max(performance.now() - since, 0);
  byId("time").textContent = picture
    ? `${counted(networks.length, "network")}, ${time.toFixed(0)} ms`
    : "";
  byId("time").dataset.milliseconds = picture ? String(time) : "";
  inside.show(outputs?.[chosenModel] ?? networks[chosenModel].run(BLANK));
}

/** @param {boolean} isVisible False if the image has been erased. */
function showSource(isVisible) {
  const set = data.validation ? "Validation" : "Test";
  const source = isVisible ? board.loaded?.source : undefined;
  const changed = board.isChanged ? ", changed" : "";
  gallery.follow(source?.image);
  byId("source").textContent = source
    ? `${set} image ${source.image.toLocaleString("en")}: ${withArticle(source.label)}${changed}`
    : "";
  byId("steps").toggleAttribute("hidden", !source?.isMisread);
  byId("seen-text").textContent = !source
    ? "Fitted into 20×20 pixels with gray levels, its lines about as thick as MNIST's, its center of mass in the middle of the 28×28 pixels."
    : board.isChanged
    ? "An MNIST image that you changed; it is not centered again."
    : "An MNIST image, unchanged.";
}

/** @param {number} index */
function chooseModel(index) {
  chosenModel = index;
  answers.mark(index);
  inside.choose(networks[index], networks[index].run(board.picture() ?? BLANK));
}

/** @param {number} digit Load its next example. */
function loadExample(digit) {
  const ofDigit = examples[digit];
  if (!ofDigit.length) return;
  shownExamples[digit] = (shownExamples[digit] + 1) % ofDigit.length;
  const example = ofDigit[shownExamples[digit]];
  board.load(example.pixels, { image: example.image, label: digit, isMisread: false });
}

/** @param {boolean} erases */
function chooseTool(erases) {
  board.erases = erases;
  byId("pen").setAttribute("aria-pressed", String(!erases));
  byId("eraser").setAttribute("aria-pressed", String(erases));
}

/** @param {KeyboardEvent} event */
function press(event) {
  // Elsewhere, a key may be meant for the browser, or for a list.
  const place = /** @type {Element} */ (event.target);
  const isForBoard = place === document.body || place.closest("#draw, #inside");
  const withKey = event.ctrlKey || event.metaKey;
  if (withKey && event.key === "z") {
    event.preventDefault();
    board.undo();
  } else if (!isForBoard || withKey || event.altKey || event.repeat) {
    return;
  } else if (/^\d$/.test(event.key)) {
    loadExample(Number(event.key));
  } else if (event.key === "Backspace" || event.key === "Delete") {
    board.clear();
  }
}

byId("pen").addEventListener("click", () => chooseTool(false));
byId("eraser").addEventListener("click", () => chooseTool(true));
byId("undo").addEventListener("click", () => board.undo());
byId("clear").addEventListener("click", () => board.clear());
byId("previous").addEventListener("click", () => gallery.step(-1));
byId("next").addEventListener("click", () => gallery.step(1));
document.addEventListener("keydown", press);
byId("examples").replaceChildren(...examples.map((_, digit) => {
  const label = `Example of ${withArticle(digit)}`;
  const button = element(
    "button",
    { type: "button", "aria-label": label, title: label },
    String(digit),
  );
  button.addEventListener("click", () => loadExample(digit));
  return button;
}));
byId("theme").addEventListener("click", () => {
  const isDark = matchMedia("(prefers-color-scheme: dark)").matches;
  const shown = document.documentElement.dataset.theme ?? (isDark ? "dark" : "light");
  document.documentElement.dataset.theme = shown === "dark" ? "light" : "dark";
});
for (const table of document.querySelectorAll("table.sortable")) {
  makeSortable(/** @type {HTMLTableElement} */ (table));
}
/** @type {HTMLDetailsElement[]} */
let closed = [];
addEventListener("beforeprint", () => {
  closed = [...document.querySelectorAll("details")].filter(({ open }) => !open);
  for (const each of closed) each.open = true;
});
addEventListener("afterprint", () => {
  for (const each of closed) each.open = false;
});

new Curves(data.curves);
chooseModel(0);
answer(performance.now());

// For the console: `study.logits("model_1", pixels)` of 28x28 pixels from 0 to 255, row by row.
Object.assign(globalThis, {
  study: {
    models: networks.map(({ name }) => name),
    /**
     * @param {string} name
     * @param {ArrayLike<number>} picture
     */
    logits: (name, picture) => {
      const network = networks.find((each) => each.name === name);
      return network && Array.from(network.run(Uint8Array.from(picture)).at(-1)?.values ?? []);
    },
  },
});
