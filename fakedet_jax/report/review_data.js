// Copyright 2026 The fakedet_jax Authors.
// SPDX-License-Identifier: Apache-2.0
// Shows the rows of a review. Whatever comes from files becomes text, never markup.
// The files review_*.js are one script, in the order of `review_page.SCRIPTS`.
"use strict";

const ROWS_PER_PAGE = 100;
const KINDS = ["fake", "unsure", "real", "skipped"];
// Neither those of real and fake, nor more than colour-blind readers tell apart.
const TRACK_COLOURS = ["#1f2937", "#009e73", "#8a4fbf", "#a67c00"];
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
  row.remark = [row.file.note, row.note].filter(Boolean).join("; ");
  row.words = [row.file.path, label(row), row.reason, row.remark, row.file.origin]
    .filter(Boolean).join("\n").toLowerCase();
});

const state = { kind: "", words: "", column: "file", falls: false, page: 0 };
let found = rows;
let opened = null;

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
