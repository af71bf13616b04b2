// Copyright 2026 The fakedet_jax Authors.
// SPDX-License-Identifier: Apache-2.0
// The detail of a row.

const dialog = byId("detail");

function show(row) {
  opened = row;
  const place = found.indexOf(row);
  const step = (text, name, other) => {
    const go = () => step_to(other);
    const button = make("button", { type: "button", "aria-label": name, onclick: go }, text);
    button.disabled = !found[other];
    return button;
  };
  dialog.replaceChildren(
    make("div", { class: "bar-top" },
      make("span", { class: "place" }, `${count(place + 1)} of ${count(found.length)}`),
      step("‹", "Previous row", place - 1),
      step("›", "Next row", place + 1),
      make("button", { type: "button", onclick: () => dialog.close() }, "Close")),
    make("div", { class: "body" }, ...detail(row)));
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
  draw_timeline(row);
}

function step_to(place) {
  if (!found[place]) return;
  const focused = document.activeElement && document.activeElement.getAttribute("aria-label");
  show(found[place]);
  const again = focused && dialog.querySelector(`button[aria-label="${focused}"]:enabled`);
  (again || dialog.querySelector("button:enabled")).focus();
}

function leave() {
  if (!opened) return;
  const place = found.indexOf(opened);
  const page = Math.floor(Math.max(place, 0) / ROWS_PER_PAGE);
  if (page !== state.page) show_page(page);
  const shown = document.querySelector(`tr[data-number="${opened.number}"] button`);
  if (shown) shown.focus();
  opened = null;
}

dialog.addEventListener("close", leave);
dialog.addEventListener("click", (event) => {
  if (event.target === dialog) dialog.close();
});
dialog.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (step && !event.altKey && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    step_to(found.indexOf(opened) + step);
  }
});
window.addEventListener("resize", () => { if (opened) draw_timeline(opened); });

function detail(row) {
  const folder = row.file.path.slice(0, -row.name.length);
  const more = label(row);
  return [
    make("h2", { id: "detail-title" }, make("bdi", {}, row.name), more ? `, ${more}` : ""),
    folder ? make("span", { class: "small" }, make("bdi", {}, folder)) : "",
    ...verdict(row),
    ...pictures(row),
    ...timeline(row),
    ...stability(row),
    ...maps(row),
    ...layers(row),
    make("h3", {}, "About the file"),
    facts(row),
  ];
}

function verdict(row) {
  if (row.score === undefined) {
    return [make("div", { class: "verdict" }, chip(row),
      make("span", {}, make("bdi", {}, row.reason)))];
  }
  return [
    make("div", { class: "verdict" }, chip(row), make("b", {}, shown_score(row.score)),
      make("span", {}, why(row))),
    scale(row),
  ];
}

function why(row) {
  const between = about.unsure_between;
  const low = between ? between[0] : about.threshold;
  const high = between ? between[1] : about.threshold;
  const is_high = row.score >= high;
  const own = is_high ? "fake" : row.score < low ? "real" : "unsure";
  if (own === "unsure") return `is between ${low.toFixed(3)} and ${high.toFixed(3)}`;
  const side = is_high ? `at or above ${high.toFixed(3)}` : `below ${low.toFixed(3)}`;
  if (own === row.kind) return `is ${side}`;
  return `is ${side}, but mild changes of the picture turn the decision round`;
}

function scale(row) {
  const mark = (css, left, place = {}) =>
    at(make("span", { class: css }), { left: percent(left), ...place });
  const between = about.unsure_between;
  // What is nearly undecided has nearly no colour.
  const middle = between ? (between[0] + between[1]) / 2 : about.threshold;
  const parts = [at(make("span", { class: "line" }), {
    background: `linear-gradient(90deg, var(--real), #dfe3e8 ${percent(middle)}, var(--fake))`,
  })];
  if (between) {
    parts.push(mark("zone", between[0], { width: percent(between[1] - between[0]) }));
  } else {
    parts.push(mark("cut", about.threshold));
  }
  if (row.range) {
    const [least, most] = row.range;
    parts.push(mark("spread", least, { width: percent(most - least) }));
  }
  parts.push(mark("mark", row.score),
    at(make("span", { class: "end" }, "0, real"), { left: "0" }),
    at(make("span", { class: "end" }, "1, fake"), { right: "0" }));
  const cut = between
    ? `unsure from ${between[0].toFixed(3)} to ${between[1].toFixed(3)}`
    : `threshold ${about.threshold.toFixed(3)}`;
  return make("div", { class: "scale", role: "img",
    "aria-label": `Score ${shown_score(row.score)} from 0 to 1; ${cut}` }, ...parts);
}

function pictures(row) {
  const figures = [];
  if (row.image) {
    figures.push(make("figure", { class: "face" },
      make("img", { src: row.image, alt: "The face" }),
      make("figcaption", {}, "What the network saw" + of_whom(row) + when(row))));
  }
  if (row.picture) {
    const boxes = row.box ? [
      box_on(row, row.box, `box ${row.kind}`),
      row.seen ? box_on(row, row.seen, "seen") : "",
    ] : [];
    const caption = row.box
      ? "The picture with the face; the dashed region is what the network saw"
      : "The picture";
    figures.push(make("figure", {},
      at(make("div", { class: "boxed" },
        make("img", { src: row.picture, alt: "The whole picture" }), ...boxes),
      { maxWidth: `calc(65vh * ${row.size[0] / row.size[1]})` }),
      make("figcaption", {}, caption)));
  }
  return figures.length ? [make("div", { class: "pictures" }, ...figures)] : [];
}

function of_whom(row) {
  if (row.leading === undefined) return "";
  return ` of face ${row.leading}, which has the highest score of all faces,`;
}

function when(row) {
  if (row.frame === undefined) return "";
  const time = row.time === undefined ? "" : `, at ${shown_time(row.time)}`;
  return ` in frame ${count(row.frame)}${time}, where it scores highest`;
}

function box_on(row, box, css) {
  const [width, height] = row.size;
  const [left, top, right, bottom] = box;
  return at(make("span", { class: css }), {
    left: percent(left / width), top: percent(top / height),
    width: percent((right - left) / width), height: percent((bottom - top) / height),
  });
}

function stability(row) {
  if (!row.changed) return [];
  const facts = about.changes.flatMap((name, place) =>
    [make("dt", {}, name), make("dd", {}, shown_score(row.changed[place]))]);
  return [
    make("h3", {}, "The score after mild changes of the picture"),
    make("dl", { class: "facts-list pairs" }, make("dt", {}, "as it is"),
      make("dd", {}, shown_score(row.score)), ...facts),
  ];
}

function maps(row) {
  if (!row.maps) return [];
  const figures = row.maps.map((map) => make("figure", {},
    make("img", { src: map.image, alt: map.title, loading: "lazy" }),
    make("figcaption", {}, make("b", {}, map.title), ` ${map.caption}`)));
  return [
    make("h3", {}, "What the network reacts to"),
    make("p", { class: "legend" }, about.maps_note),
    make("div", { class: "pictures maps" }, ...figures),
  ];
}

function layers(row) {
  if (!row.layers) return [];
  const largest = Math.max(...row.layers.map(([, value]) => Math.abs(value)), 1e-9);
  const cells = row.layers.flatMap(([name, value]) => {
    const share = Math.abs(value) / largest / 2;
    const bar = at(make("i", {}), { width: percent(share),
      left: percent(value < 0 ? 0.5 - share : 0.5) });
    const sign = value < 0 ? "" : "+";
    return [make("code", { class: "layer" }, name), make("span", { class: "track" }, bar),
      make("span", { class: "value" }, `${sign}${minus(value.toFixed(1))} σ`)];
  });
  return [
    make("h3", {}, "Layers that differ most"),
    make("p", { class: "legend" }, about.layers_note),
    make("div", { class: "layers" }, ...cells),
  ];
}

function facts(row) {
  const file = row.file;
  const found = [
    ["Path", file.path],
    ["Log-odds", row.log_odds === undefined ? "" : minus(row.log_odds.toPrecision(4))],
    ["Crops scored", row.frames > 1 ? count(row.frames) : ""],
    ["Size", row.size ? `${count(row.size[0])} × ${count(row.size[1])} pixels` : ""],
    ["Face cut out", row.face_pixels === undefined ? ""
      : `${count(row.face_pixels)} pixels on its shorter side`
        + (row.frames > 1 ? ", the median of its frames" : "")],
    ["Face detector", row.confidence === undefined ? ""
      : `confidence ${row.confidence.toFixed(2)}`],
    ["Says of its origin", file.origin],
    ["Note", row.remark],
    ["Problem", (file.problems || []).join("; ")],
  ].filter(([, value]) => value);
  return make("dl", { class: "facts-list" }, ...found.flatMap(([name, value]) =>
    [make("dt", {}, name), make("dd", {}, make("bdi", {}, value))]));
}
