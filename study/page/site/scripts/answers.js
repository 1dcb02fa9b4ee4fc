/** The answers of all models: a card for each, with ten bars, and how far they agree. */

import { byId, counted, element, listed, withArticle } from "./dom.js";

const DIGITS = [...Array(10).keys()];

/**
 * @typedef {{ digit: number, probabilities: number[] }} Answer
 * @typedef {{ card: HTMLElement, digit: HTMLElement, share: HTMLElement, bars: HTMLElement[] }} Card
 */

export class Answers {
  /**
   * @param {import("./network.js").Network[]} networks
   * @param {(index: number) => void} onChoose Called with the index of a model that is clicked.
   */
  constructor(networks, onChoose) {
    this.networks = networks;
    this.cards = networks.map((network, index) => {
      const card = newCard(network);
      card.card.addEventListener("click", () => onChoose(index));
      return card;
    });
    byId("cards").replaceChildren(...this.cards.map(({ card }) => card));
  }

  /** @param {number} chosen Index of the model whose inside is shown. */
  mark(chosen) {
    this.cards.forEach(({ card }, index) => {
      card.setAttribute("aria-pressed", String(index === chosen));
    });
  }

  /**
   * @param {Answer[] | null} answers One per model; null without a picture.
   * @param {number | null} label The digit that it is, if that is known.
   */
  show(answers, label) {
    const counts = DIGITS.map((d) => answers?.filter(({ digit }) => digit === d).length ?? 0);
    const most = counts.indexOf(Math.max(...counts));
    this.cards.forEach((card, index) => {
      const answer = answers?.[index];
      const isOdd = answer !== undefined && answer.digit !== (label ?? most);
      showCard(card, this.networks[index].title, answer, isOdd);
    });
    showVotes(counts, answers?.length ?? 0, label);
    byId("verdict").textContent = answers
      ? this.agreement(answers, most, label)
      : "Draw a digit, or press a key from 0 to 9.";
  }

  /**
   * @param {Answer[]} answers
   * @param {number} most
   * @param {number | null} label
   */
  agreement(answers, most, label) {
    const total = answers.length;
    const others = DIGITS.filter((d) => d !== most).flatMap((d) => {
      const titles = this.networks.map(({ title }) => title).filter((_, i) =>
        answers[i].digit === d
      );
      return titles.length
        ? [`${listed(titles)} ${titles.length === 1 ? "reads" : "read"} ${d}`]
        : [];
    });
    const agreeingModels = answers.filter(({ digit }) => digit === most).length;
    const agreeing = others.length === 0
      ? `${total === 1 ? "The model reads" : `All ${total} models read`} ${most}.`
      : `${agreeingModels} of ${total} models read ${most}; ${others.join("; ")}.`;
    if (label === null) return agreeing;
    const wrong = answers.filter(({ digit }) => digit !== label).length;
    const verdict = wrong ? `${counted(wrong, "model")} misread it.` : "that is right.";
    return `${agreeing} It is ${withArticle(label)}: ${verdict}`;
  }
}

/**
 * @param {import("./network.js").Network} network
 * @returns {Card}
 */
function newCard(network) {
  const digit = element("span", { class: "card-digit" });
  const share = element("span", { class: "card-share" });
  const bars = DIGITS.map(() => element("span", { class: "bar-fill" }));
  const columns = bars.map((bar, d) =>
    element(
      "span",
      { class: "bar" },
      element("span", { class: "bar-track" }, bar),
      element("span", { class: "bar-digit" }, String(d)),
    )
  );
  const parameters = network.parameters?.toLocaleString("en") ?? "–";
  const card = element(
    "button",
    { type: "button", class: "card", "aria-pressed": "false" },
    element(
      "span",
      { class: "card-head", "aria-hidden": "true" },
      element(
        "span",
        {},
        element("span", { class: "card-title" }, network.title),
        element("span", { class: "card-size" }, parameters, element("span", {}, " parameters")),
      ),
      element("span", { class: "card-answer" }, digit, share),
    ),
    element("span", { class: "bars", "aria-hidden": "true" }, ...columns),
  );
  return { card, digit, share, bars };
}

/**
 * @param {Card} card
 * @param {string} title
 * @param {Answer | undefined} answer
 * @param {boolean} isOdd True if it is not what most models read, or not the label.
 */
function showCard({ card, digit, share, bars }, title, answer, isOdd) {
  const percent = answer ? percentage(answer.probabilities[answer.digit]) : "";
  digit.textContent = answer ? String(answer.digit) : "–";
  share.textContent = percent;
  card.classList.toggle("is-odd", isOdd);
  card.setAttribute(
    "aria-label",
    `${title}: ${answer ? `${answer.digit}, ${percent}` : "no answer"}`,
  );
  bars.forEach((bar, d) => {
    bar.style.transform = `scaleY(${answer?.probabilities[d] ?? 0})`;
    bar.parentElement?.parentElement?.classList.toggle("is-best", answer?.digit === d);
  });
}

/**
 * Show how many models read each digit, as parts of a bar.
 *
 * @param {number[]} counts
 * @param {number} total
 * @param {number | null} label
 */
function showVotes(counts, total, label) {
  const voted = DIGITS.filter((digit) => counts[digit]).sort((a, b) => counts[b] - counts[a]);
  byId("votes").replaceChildren(...voted.map((digit, place) => {
    const isRight = label === null ? place === 0 : digit === label;
    const kind = isRight ? "vote" : "vote is-odd";
    const vote = element(
      "span",
      { class: kind },
      element("span", { class: "vote-digit" }, String(digit)),
      element("span", { class: "vote-count" }, `${counts[digit]} of ${total}`),
    );
    vote.style.flexGrow = String(counts[digit]);
    return vote;
  }));
}

/** @param {number} share */
function percentage(share) {
  const percent = 100 * share;
  return `${
    percent > 99.95 && percent < 100 ? "> 99.9" : percent.toFixed(percent < 99.5 ? 0 : 1)
  }%`;
}
