// Copyright 2026 The fakedet_jax Authors.
// SPDX-License-Identifier: Apache-2.0
// The scores of a video over time.

function timeline(row) {
  if (!row.file.tracks) return [];
  const tracks = row.file.tracks;
  const keys = tracks.map((track, place) => make("span", {},
    at(make("span", { class: "dot" }), { background: colour(row, place) }),
    `face ${track.face} `));
  const legend = has_colours(row) ? keys
    : [`Face ${drawn_face(row)} is drawn dark, the other ${count(tracks.length - 1)} grey`];
  return [
    make("h3", {}, "Scores of the video"),
    make("div", { class: "timeline" }),
    tracks.length > 1 ? make("p", { class: "legend" }, ...legend) : "",
  ];
}

// Of more tracks, no reader tells the colours apart.
const has_colours = (row) => row.file.tracks.length <= TRACK_COLOURS.length;

// The row of all faces has the score of one of them.
const drawn_face = (row) => row.leading ?? row.face;

const is_own = (row, place) => row.file.tracks[place].face === drawn_face(row);

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
      height: y(between[0]) - y(between[1]), class: "zone" }));
  } else {
    parts.push(draw("line", { x1: left, x2: width - right, y1: y(about.threshold),
      y2: y(about.threshold), class: "cut" }));
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
