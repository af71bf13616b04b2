// Copyright 2026 The fakedet_jax Authors.
// SPDX-License-Identifier: Apache-2.0
// Shows the rows of a review. Whatever comes from files becomes text, never markup.
"use strict";
(() => {
  const ROWS_PER_PAGE = 100;
  const KINDS = ["fake", "unsure", "real", "skipped"];
  const TRACK_COLOURS = ["#1f2937", "#0072b2", "#b84a00", "#009e73", "#8a4fbf", "#a67c00"];
  const SVG = "http://www.w3.org/2000/svg";
  const byId = (id) => document.getElementById(id);
  const read = (id) => JSON.parse(byId(id).textContent);
  const about = read("about");
  const rows = read("rows").flatMap((file) =>
    file.faces.map((face) => ({ ...face, file })));
  rows.forEach((row, number) => {
    row.number = number;
    row.kind = row.decision || "skipped";
    row.name = row.file.name;
    row.words = [row.file.path, label(row), row.reason, row.file.note, row.file.origin]
      .filter(Boolean).join("\n").toLowerCase();
  });

  const state = { kind: "", words: "", column: "file", falls: false, page: 0 };
  let found = rows;
  let open = null;

  // Building blocks.

  function make(tag, attributes, ...children) {
    const element = document.createElement(tag);
    fill(element, attributes, children);
    return element;
  }

  function draw(tag, attributes, ...children) {
    const element = document.createElementNS(SVG, tag);
    fill(element, attributes, children);
    return element;
  }

  function fill(element, attributes, children) {
    for (const [name, value] of Object.entries(attributes || {})) {
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (value !== null && value !== undefined) element.setAttribute(name, value);
    }
    element.append(...children.flat().filter((child) => child !== null && child !== ""));
  }

  function at(element, place) {
    Object.assign(element.style, place);
    return element;
  }

  const percent = (share) => `${100 * share}%`;
  const count = (number) => number.toLocaleString("en");
  const minus = (text) => text.replace("-", "−");

  function label(row) {
    if (row.face === "all") return "all faces";
    return row.file.faces.length > 1 ? `face ${row.face}` : "";
  }

  function shown_score(score) {
    if (score === undefined) return "";
    if (score < 0.001) return "< 0.001";
    return score > 0.999 ? "> 0.999" : score.toFixed(3);
  }

  function shown_time(seconds) {
    const tenths = Math.round(10 * seconds);
    const rest = ((tenths % 600) / 10).toFixed(1);
    return `${Math.floor(tenths / 600)}:${rest.padStart(4, "0")}`;
  }

  function chip(row) {
    return make("span", { class: `kind ${row.kind}` }, row.kind);
  }

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
    const remark = row.reason || row.file.note;
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
    byId("turn").textContent = state.falls ? "↓ falling" : "↑ rising";
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
    const sizes = Object.fromEntries(KINDS.map((kind) =>
      [kind, rows.filter((row) => row.kind === kind).length]));
    const kinds = [["", "All", rows.length],
      ...KINDS.filter((kind) => sizes[kind]).map((kind) => [kind, kind, sizes[kind]])];
    byId("kinds").append(...kinds.map(([kind, text, number]) => make("button",
      { type: "button", "data-kind": kind, onclick: () => { state.kind = kind; refresh(); } },
      kind ? make("span", { class: `dot ${kind}` }) : "", `${text} `,
      make("b", {}, count(number)))));
    refresh();
  }

  // The detail of a row.

  const dialog = byId("detail");

  function show(row) {
    open = row;
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
    if (!open) return;
    const place = found.indexOf(open);
    const page = Math.floor(Math.max(place, 0) / ROWS_PER_PAGE);
    if (page !== state.page) show_page(page);
    const shown = document.querySelector(`tr[data-number="${open.number}"] button`);
    if (shown) shown.focus();
    open = null;
  }

  dialog.addEventListener("close", leave);
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  dialog.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step && !event.altKey && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      step_to(found.indexOf(open) + step);
    }
  });
  window.addEventListener("resize", () => { if (open) draw_timeline(open); });

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
    return `is ${side}, but changes that nobody would notice turn the decision round`;
  }

  function scale(row) {
    const mark = (css, left, place = {}) =>
      at(make("span", { class: css }), { left: percent(left), ...place });
    const parts = [make("span", { class: "line" })];
    const between = about.unsure_between;
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
        make("figcaption", {}, "What the network saw" + when(row))));
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

  function when(row) {
    if (row.frame === undefined) return "";
    const time = row.time === undefined ? "" : `, at ${shown_time(row.time)}`;
    return ` in the frame with the highest score, number ${count(row.frame)}${time}`;
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
      make("h3", {}, "The score after changes that nobody would notice"),
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
      ["Frames scored", row.frames > 1 ? count(row.frames) : ""],
      ["Size", row.size ? `${count(row.size[0])} × ${count(row.size[1])} pixels` : ""],
      ["Face detector", row.confidence === undefined ? ""
        : `confidence ${row.confidence.toFixed(2)}`],
      ["Says of its origin", file.origin],
      ["Note", file.note],
      ["Problem", (file.problems || []).join("; ")],
    ].filter(([, value]) => value);
    return make("dl", { class: "facts-list" }, ...found.flatMap(([name, value]) =>
      [make("dt", {}, name), make("dd", {}, make("bdi", {}, value))]));
  }

  // The scores of a video over time.

  function timeline(row) {
    if (!row.file.tracks) return [];
    const tracks = row.file.tracks;
    const keys = tracks.map((track, place) => make("span", {},
      at(make("span", { class: "dot" }), { background: colour(row, place) }),
      `face ${track.face} `));
    const legend = has_colours(row) ? keys
      : [row.face === "all" ? `Scores of ${count(tracks.length)} faces`
        : `Face ${row.face} is drawn dark, the other faces of the video grey`];
    return [
      make("h3", {}, "Scores of the video"),
      make("div", { class: "timeline" }),
      tracks.length > 1 ? make("p", { class: "legend" }, ...legend) : "",
    ];
  }

  // Of more tracks, no reader tells the colours apart.
  const has_colours = (row) => row.file.tracks.length <= TRACK_COLOURS.length;

  const is_own = (row, place) =>
    row.face === "all" || row.file.tracks[place].face === row.face;

  function colour(row, place) {
    if (has_colours(row)) return TRACK_COLOURS[place];
    return is_own(row, place) ? TRACK_COLOURS[0] : "#9aa3af";
  }

  function draw_timeline(row) {
    const home = dialog.querySelector(".timeline");
    if (!home) return;
    const tracks = row.file.tracks;
    const width = Math.max(home.clientWidth, 200);
    const [left, right, top, bottom, height] = [34, 12, 10, 26, 190];
    const times = tracks.flatMap((track) => track.points.map((point) => point[0]));
    const start = times.reduce((one, other) => Math.min(one, other), Infinity);
    const end = times.reduce((one, other) => Math.max(one, other), -Infinity);
    const x = (time) => left + (width - left - right)
      * (end > start ? (time - start) / (end - start) : 0.5);
    const y = (score) => top + (height - top - bottom) * (1 - score);
    const shown = (time) => row.file.has_times ? shown_time(time) : `frame ${count(time)}`;
    const parts = [];
    for (const score of [0, 0.5, 1]) {
      parts.push(
        draw("line", { x1: left, x2: width - right, y1: y(score), y2: y(score),
          stroke: "#e5e7eb" }),
        draw("text", { x: left - 6, y: y(score) + 4, "text-anchor": "end" }, String(score)));
    }
    const between = about.unsure_between;
    if (between) {
      parts.push(draw("rect", { x: left, width: width - left - right, y: y(between[1]),
        height: y(between[0]) - y(between[1]), fill: "#5b647233" }));
    } else {
      parts.push(draw("line", { x1: left, x2: width - right, y1: y(about.threshold),
        y2: y(about.threshold), stroke: "#5b6472", "stroke-dasharray": "5 4" }));
    }
    parts.push(draw("text", { x: left, y: height - 6 }, shown(start)),
      draw("text", { x: width - right, y: height - 6, "text-anchor": "end" },
        end > start ? shown(end) : ""));
    // What a reader looks for is drawn last, above the others.
    const places = [...tracks.keys()].sort((one, other) => is_own(row, one) - is_own(row, other));
    for (const place of places) {
      const track = tracks[place];
      const own = is_own(row, place);
      const points = track.points.map(([time, score]) => `${x(time)},${y(score)}`);
      parts.push(draw("polyline", { points: points.join(" "), fill: "none",
        stroke: colour(row, place), "stroke-width": own ? 2.5 : 1, opacity: own ? 1 : 0.6 }));
      if (points.length > 200) continue;
      for (const [time, score] of track.points) {
        parts.push(draw("circle", { cx: x(time), cy: y(score), r: own ? 4 : 2.5,
          fill: colour(row, place) }, draw("title", {},
          `face ${track.face}, ${shown(time)}: ${shown_score(score)}`)));
      }
    }
    home.replaceChildren(draw("svg", { viewBox: `0 0 ${width} ${height}`, role: "img",
      "aria-label": `Scores of ${tracks.length} faces over time` }, ...parts));
  }

  set_up();
})();
