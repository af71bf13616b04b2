// Copyright 2026 The fakedet_jax Authors.
// SPDX-License-Identifier: Apache-2.0
// The table.

const COLUMNS = [
  { key: "file", title: "File", css: "name", value: (row) => row.number, cell: name_cell },
  { key: "decision", title: "Decision", css: "decision",
    value: (row) => KINDS.indexOf(row.kind), cell: chip },
  { key: "score", title: "Score", css: "score", value: (row) => row.log_odds,
    cell: (row) => shown_score(row.score) },
  { key: "range", title: "After changes", css: "range", has: (row) => row.range,
    value: (row) => row.range && row.range[1] - row.range[0],
    cell: (row) => row.range ? row.range.map(shown_score).join(" – ") : "" },
  { key: "origin", title: "Says of its origin", css: "origin",
    has: (row) => row.file.origin, value: (row) => row.file.origin,
    cell: (row) => row.file.origin
      ? make("span", { class: "small" }, make("bdi", {}, row.file.origin)) : "" },
].filter((column) => !column.has || rows.some(column.has));

function name_cell(row) {
  const more = [row.file.is_video ? "video" : "", label(row)].filter(Boolean).join(", ");
  const folder = row.file.path.slice(0, -row.name.length);
  const remark = row.reason || row.remark;
  return [
    make("button", { type: "button" }, make("bdi", {}, row.name)),
    more ? ` ${more}` : "",
    folder ? make("span", { class: "small" }, make("bdi", {}, folder)) : "",
    remark ? make("span", { class: "small" }, make("bdi", {}, remark)) : "",
  ];
}

function thumbnail(row) {
  const url = row.image || row.picture;
  return url
    ? make("img", { src: url, alt: "", loading: "lazy", width: 64, height: 64 })
    : make("i", {});
}

function table_row(row) {
  const cells = COLUMNS.map((column) =>
    make("td", { class: column.css }, column.cell(row)));
  return make("tr", { onclick: () => show(row), "data-number": row.number },
    make("td", { class: "thumb" }, thumbnail(row)), ...cells);
}

function compare(one, other) {
  const value = COLUMNS.find((column) => column.key === state.column).value;
  const [left, right] = [value(one), value(other)];
  // What has no value comes last, whatever the order.
  if (left === undefined || right === undefined) {
    return (left === undefined) - (right === undefined) || one.number - other.number;
  }
  const order = left < right ? -1 : left > right ? 1 : 0;
  return (state.falls ? -order : order) || one.number - other.number;
}

function refresh(page = 0) {
  const words = state.words.toLowerCase().split(/\s+/).filter(Boolean);
  found = rows.filter((row) => (!state.kind || row.kind === state.kind)
    && words.every((word) => row.words.includes(word))).sort(compare);
  show_page(page);
}

function show_page(page) {
  const pages = Math.max(1, Math.ceil(found.length / ROWS_PER_PAGE));
  state.page = Math.min(Math.max(page, 0), pages - 1);
  const start = state.page * ROWS_PER_PAGE;
  const part = found.slice(start, start + ROWS_PER_PAGE);
  byId("table").tBodies[0].replaceChildren(...part.map(table_row));
  byId("shown").textContent = found.length
    ? `Rows ${count(start + 1)} to ${count(start + part.length)} of ${count(found.length)}`
      + (found.length < rows.length ? `, chosen from ${count(rows.length)}` : "")
    : "No row has all of this.";
  for (const pager of document.querySelectorAll(".pager")) {
    pager.replaceChildren(...(pages > 1 ? page_buttons(pages) : []));
  }
  show_order();
}

function page_buttons(pages) {
  const turn = (text, name, page) => {
    const go = () => {
      show_page(page);
      byId("shown").scrollIntoView({ block: "nearest" });
    };
    const button = make("button", { type: "button", "aria-label": name, onclick: go }, text);
    button.disabled = page < 0 || page >= pages;
    return button;
  };
  return [
    turn("‹ Previous", "Previous page", state.page - 1),
    make("span", {}, `Page ${count(state.page + 1)} of ${count(pages)}`),
    turn("Next ›", "Next page", state.page + 1),
  ];
}

function show_order() {
  for (const head of document.querySelectorAll("#table th[data-key]")) {
    const is_chosen = head.dataset.key === state.column;
    const order = state.falls ? "descending" : "ascending";
    head.setAttribute("aria-sort", is_chosen ? order : "none");
    head.querySelector("i").textContent = is_chosen ? (state.falls ? " ↓" : " ↑") : "";
  }
  byId("sort").value = state.column;
  byId("turn").textContent = state.falls ? "↓ descending" : "↑ ascending";
  for (const button of byId("kinds").children) {
    button.setAttribute("aria-pressed", String(button.dataset.kind === state.kind));
  }
}

function sort_by(key) {
  // Of numbers, the largest are wanted first.
  const is_number = key === "score" || key === "range";
  state.falls = key === state.column ? !state.falls : is_number;
  state.column = key;
  refresh();
}

function set_up() {
  const titles = COLUMNS.map((column) => make("th",
    { scope: "col", class: column.css, "data-key": column.key },
    make("button", { type: "button", onclick: () => sort_by(column.key) },
      column.title, make("i", { "aria-hidden": "true" }))));
  byId("table").tHead.append(make("tr", {}, make("th", { class: "thumb" }), ...titles));
  byId("sort").append(...COLUMNS.map((column) =>
    make("option", { value: column.key }, column.title)));
  byId("sort").addEventListener("change", (event) => sort_by(event.target.value));
  byId("turn").addEventListener("click", () => sort_by(state.column));
  byId("search").addEventListener("input", (event) => {
    state.words = event.target.value;
    refresh();
  });
  // The row of a whole video repeats a face of it, and is no face of its own.
  const faces = rows.filter((row) => row.face !== "all");
  const kinds = [["", "All", faces.length],
    ...KINDS.filter((kind) => rows.some((row) => row.kind === kind)).map((kind) =>
      [kind, kind, faces.filter((row) => row.kind === kind).length])];
  byId("kinds").append(...kinds.map(([kind, text, number]) => make("button",
    { type: "button", "data-kind": kind, onclick: () => { state.kind = kind; refresh(); } },
    kind ? make("span", { class: `dot ${kind}` }) : "", `${text} `,
    make("b", {}, count(number)))));
  refresh();
}
