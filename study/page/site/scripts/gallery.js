/** The hard images: those that models misread, by how many of them do. */

import { pictureCanvas } from "./board.js";
import { byId, element, goTo, listed, withArticle } from "./dom.js";

/**
 * @typedef {{ image: number, label: number, group: string, answers: number[], pixels: Uint8Array }} Misread
 */

export class Gallery {
  /**
   * @param {Misread[]} misread
   * @param {Record<string, number>} counts Number of images of each group, shown or not.
   * @param {string[]} titles Of the models.
   * @param {(image: Misread) => void} onChoose
   */
  constructor(misread, counts, titles, onChoose) {
    this.misread = misread;
    this.counts = counts;
    this.titles = titles;
    this.onChoose = onChoose;
    /** @type {Misread[]} */
    this.shown = [];
    /** @type {Misread | null} */
    this.chosen = null;
    this.group = Object.keys(counts).find((group) => counts[group]) ?? "every";
    this.model = -1;
    this.addGroups();
    this.addModels();
    this.show();
  }

  addGroups() {
    const choices = document.querySelectorAll("#groups input");
    for (const choice of /** @type {NodeListOf<HTMLInputElement>} */ (choices)) {
      const count = this.counts[choice.value];
      choice.checked = choice.value === this.group;
      choice.disabled = count === 0;
      /** @type {Element} */ (choice.parentElement).querySelector(".count")?.replaceChildren(
        count.toLocaleString("en"),
      );
      choice.addEventListener("change", () => {
        this.group = choice.value;
        this.show();
      });
    }
  }

  addModels() {
    const select = /** @type {HTMLSelectElement} */ (byId("misreader"));
    this.titles.forEach((title, index) => {
      select.append(element("option", { value: index }, title));
    });
    select.addEventListener("change", () => {
      this.model = Number(select.value);
      this.show();
    });
  }

  show() {
    this.shown = this.misread.filter(({ group, label, answers }) =>
      group === this.group && (this.model < 0 || answers[this.model] !== label)
    );
    byId("gallery").replaceChildren(...this.shown.map((image) => this.item(image)));
    this.note();
    this.mark();
  }

  /** Say if no image is shown, or if the page does not have all images of the group. */
  note() {
    const held = this.misread.filter(({ group }) => group === this.group).length;
    const count = this.counts[this.group];
    const first = held < count ? `the first ${held} of ${count.toLocaleString("en")} images` : "";
    byId("gallery-note").textContent = !this.shown.length
      ? `This model misreads none of ${first || "them"}.`
      : first && `These are among ${first}.`;
  }

  /**
   * Mark the image that is on the board, if it is one of these.
   *
   * @param {number | undefined} image
   */
  follow(image) {
    const found = this.misread.find((each) => each.image === image);
    if (!found || found === this.chosen) return;
    this.chosen = found;
    this.mark();
  }

  /** Mark the image that was on the board last. */
  mark() {
    document.querySelectorAll(".thumb").forEach((thumb, place) => {
      thumb.setAttribute("aria-pressed", String(this.shown[place] === this.chosen));
    });
  }

  /** @param {Misread} image */
  item(image) {
    const { label, answers, pixels } = image;
    const wrong = [...new Set(answers.filter((answer) => answer !== label))];
    const marks = answers.map((answer) =>
      element("span", { class: answer === label ? "mark" : "mark is-wrong" })
    );
    const button = element(
      "button",
      { type: "button", class: "thumb", title: this.description(image) },
      pictureCanvas(pixels),
      element(
        "span",
        { class: "thumb-text" },
        element("b", {}, String(label)),
        ` read as ${listed(wrong.map(String))}`,
      ),
      element("span", { class: "marks", "aria-hidden": "true" }, ...marks),
    );
    button.addEventListener("click", () => {
      this.choose(image);
      goTo("draw");
    });
    return element("li", {}, button);
  }

  /** @param {Misread} image */
  description({ image, label, answers }) {
    const wrong = answers.flatMap((answer, index) =>
      answer === label ? [] : [`${this.titles[index]} reads ${answer}`]
    );
    return `Image ${image.toLocaleString("en")} is ${withArticle(label)}: ${listed(wrong)}`;
  }

  /** @param {Misread} image */
  choose(image) {
    this.chosen = image;
    this.mark();
    this.onChoose(image);
  }

  /** @param {1 | -1} direction To the next image that is shown, or to the previous one. */
  step(direction) {
    const place = this.chosen ? this.shown.indexOf(this.chosen) : -1;
    // From an image that is not shown, the next one is the first, and the previous one the last.
    const start = place < 0 && direction < 0 ? 0 : place;
    const next = this.shown.at((start + direction) % this.shown.length);
    if (next) this.choose(next);
  }
}
