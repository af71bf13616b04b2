# Copyright 2026 The fakedet_jax Authors.
# SPDX-License-Identifier: Apache-2.0
"""The style sheet of the page: light, printable, and readable on a phone."""

SHEET = """
:root { color-scheme: light; --ink: #1f2937; --soft: #5b6472; --line: #e5e7eb;
  --real: #0072b2; --fake: #b84a00; }
* { box-sizing: border-box; }
body { margin: 0; background: #f6f7f9; color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 24px 16px 64px; }
header { padding: 8px 4px 4px; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 .5rem;
  overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 0 0 .75rem; }
h3 { font-size: 1rem; margin: 0 0 .5rem; }
.lead { font-size: 1.15rem; margin: 0 0 .25rem; max-width: 46em; }
.facts, .note { color: var(--soft); font-size: .9rem; margin: .25rem 0 .75rem; }
section { background: #fff; border: 1px solid var(--line); border-radius: 12px;
  padding: 20px; margin-top: 16px; }
.tiles { display: grid; gap: 12px; margin: 0 0 12px;
  grid-template-columns: repeat(auto-fit, minmax(185px, 1fr)); }
.tile { border: 1px solid var(--line); border-radius: 10px; padding: 12px 14px; }
.tile dt { color: var(--soft); font-size: .85rem; }
.tile dd { margin: 0; }
.tile b { display: block; font-size: 1.6rem; line-height: 1.25;
  font-variant-numeric: tabular-nums; }
.tile span { color: var(--soft); font-size: .8rem; }
.guide { margin: 0; display: grid; grid-template-columns: 11em 1fr; gap: 10px 20px; }
.guide dt { font-weight: 600; }
.guide dd { margin: 0; max-width: 44em; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
th, td { text-align: left; padding: 7px 10px; border-bottom: 1px solid var(--line);
  vertical-align: top; }
thead th { color: var(--soft); font-weight: 600; font-size: .82rem; }
.config th { font-weight: 600; width: 14em; }
.number { text-align: right; font-variant-numeric: tabular-nums;
  white-space: nowrap; }
.classes code, .classes .kind { white-space: nowrap; }
.bar { width: 26%; min-width: 90px; vertical-align: middle; }
.bar i { display: block; height: 9px; border-radius: 5px; }
i.real { background: var(--real); } i.fake { background: var(--fake); }
code { font: .88em/1.4 ui-monospace, "SF Mono", Menlo, Consolas, monospace;
  overflow-wrap: anywhere; unicode-bidi: isolate; }
.kind { font-size: .78rem; font-weight: 600; border-radius: 99px; padding: 1px 9px;
  color: #fff; overflow-wrap: anywhere; }
.kind.real { background: var(--real); } .kind.fake { background: var(--fake); }
.figures { display: grid; gap: 24px; align-items: start;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 430px), 1fr)); }
figure { margin: 0; }
.figures img { width: 100%; height: auto; display: block; }
figcaption { color: var(--soft); font-size: .88rem; margin-top: 6px; }
.gallery { display: grid; gap: 14px;
  grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); }
.card { border: 1px solid var(--line); border-radius: 10px; overflow: hidden; }
.card img { width: 100%; aspect-ratio: 1; object-fit: contain; display: block;
  background: #eef0f3; }
.card figcaption { padding: 8px 10px 10px; margin: 0; color: var(--ink);
  font-size: .82rem; }
.card.wrong b { color: #b00020; } .card.right b { color: #1b6e3c; }
.path { display: block; color: var(--soft); }
summary { cursor: pointer; margin: 12px 0 6px; font-weight: 600; }
@media (max-width: 640px) {
  main { padding: 12px 10px 40px; } section { padding: 14px; }
  h1 { font-size: 1.4rem; } .lead { font-size: 1.05rem; }
  .tiles { grid-template-columns: 1fr 1fr; } .tile b { font-size: 1.3rem; }
  .guide { grid-template-columns: 1fr; gap: 2px; }
  .guide dd { margin-bottom: 10px; }
  .gallery { grid-template-columns: 1fr 1fr; }
  .bar, .classes th:last-child { display: none; }
}
@media print { body { background: #fff; }
  section, figure { break-inside: avoid; border-color: #ccc; } }
"""
