/** A table whose columns can be sorted by a click on their heading. */

/** @param {HTMLTableElement} table */
export function makeSortable(table) {
  const headings = [...table.querySelectorAll("thead th")];
  headings.forEach((heading, column) => {
    heading.querySelector("button")?.addEventListener("click", () => {
      const rises = heading.getAttribute("aria-sort") !== "ascending";
      for (const each of headings) each.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", rises ? "ascending" : "descending");
      sort(table.tBodies[0], column, rises ? 1 : -1);
    });
  });
}

/**
 * Sort rows by the value of a column; rows without a value come last.
 *
 * @param {HTMLTableSectionElement} body
 * @param {number} column
 * @param {1 | -1} direction
 */
function sort(body, column, direction) {
  /** @param {HTMLTableRowElement} row */
  const value = (row) => Number.parseFloat(row.cells[column].dataset.value ?? "");
  const rows = [...body.rows].sort((a, b) => {
    const last = Number(Number.isNaN(value(a))) - Number(Number.isNaN(value(b)));
    return last || direction * (value(a) - value(b));
  });
  body.append(...rows);
}
