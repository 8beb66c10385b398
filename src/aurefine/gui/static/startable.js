// STAR tables of any length: only the rows on the screen exist, and only their pages are fetched.

import { h, clear, count, failure, busy } from "./dom.js";
import { get } from "./api.js";

const ROW = 26; // px
const PAGE = 200; // rows
const TALLEST = 6_000_000; // px; browsers limit the height of an element

export function starTable(path) {
  const root = h("div", { class: "star" }, busy());
  const cache = new Map();
  let block = null;
  let blocks = [];
  let total = 0;
  let body = null;
  let scroller = null;
  let spacer = null;
  let status = null;
  let chooser = null;
  let frame = 0;
  let first = 0;
  let widths = [];

  const visible = () => Math.ceil(scroller.clientHeight / ROW) + 1;
  const height = () => Math.min(total * ROW, TALLEST);
  const isScaled = () => total * ROW > TALLEST;

  async function page(number) {
    const key = `${block}/${number}`;
    if (cache.has(key)) return cache.get(key);
    const wanted = get("/api/files/rows", { path, block, start: number * PAGE, count: PAGE });
    cache.set(key, wanted);
    if (cache.size > 60) cache.delete(cache.keys().next().value);
    try {
      const found = await wanted;
      if (!found.complete || found.rows.length < Math.min(PAGE, total - number * PAGE)) cache.delete(key);
      if (found.total !== total) grow(found);
      return found;
    } catch (error) {
      cache.delete(key);
      throw error;
    }
  }

  function grow(found) {
    total = found.total;
    spacer.style.height = `${height()}px`;
    status.textContent = found.complete ? `${count(total)} rows` : `${count(total)} rows so far, counting…`;
  }

  async function draw() {
    const n = visible();
    const start = Math.max(0, Math.min(first, Math.max(0, total - n + 1)));
    const end = Math.min(total, start + n);
    const wanted = `${block}/${start}`;
    root.dataset.row = start;
    const pages = [];
    for (let number = Math.floor(start / PAGE); number * PAGE < Math.max(end, 1); number++) pages.push(page(number));
    let found;
    try { found = await Promise.all(pages); } catch (error) { clear(body, failure(error)); return; }
    if (wanted !== `${block}/${Math.max(0, Math.min(first, Math.max(0, total - n + 1)))}`) return;
    const rows = found.flatMap((part) => part.rows.map((row, index) => [part.start + index, row]));
    const shown = rows.filter(([index]) => index >= start && index < end);
    body.style.transform = `translateY(${scroller.scrollTop}px)`;
    clear(body, shown.map(([index, row]) => h("div", { class: "star-row", role: "row", "aria-rowindex": index + 1 },
      h("span", { class: "star-number", role: "rowheader" }, count(index + 1)),
      row.map((cell, column) => h("span", { role: "cell", style: { width: `${widths[column]}px` }, title: cell.length > 18 ? cell : undefined }, cell)))));
    root.dataset.ready = String(start);
  }

  function later() {
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(draw);
  }

  function scrolled() {
    const room = scroller.scrollHeight - scroller.clientHeight;
    const share = room > 0 ? scroller.scrollTop / room : 0;
    first = isScaled() ? Math.round(share * Math.max(0, total - visible() + 1)) : Math.floor(scroller.scrollTop / ROW);
    later();
  }

  function go(row) {
    first = Math.max(0, Math.min(row, total - 1));
    const room = scroller.scrollHeight - scroller.clientHeight;
    scroller.scrollTop = isScaled() ? (first / Math.max(1, total - visible() + 1)) * room : first * ROW;
    later();
  }

  async function open(index) {
    block = index;
    cache.clear();
    const outline = blocks[index];
    total = outline.total;
    first = 0;
    const sample = await get("/api/files/rows", { path, block, start: 0, count: 40 });
    widths = outline.labels.map((label, column) => {
      const longest = Math.max(label.length + 1, ...sample.rows.map((row) => (row[column] || "").length));
      return Math.min(360, Math.max(64, longest * 7.3 + 18));
    });
    const width = widths.reduce((sum, value) => sum + value, 76);
    body = h("div", { class: "star-body" });
    spacer = h("div", { class: "star-spacer", style: { height: `${height()}px`, width: `${width}px` } }, body);
    const head = h("div", { class: "star-head", role: "row", style: { width: `${width}px` } },
      h("span", { class: "star-number", role: "columnheader" }, "row"),
      outline.labels.map((label, column) => h("span", { role: "columnheader", style: { width: `${widths[column]}px` }, title: label }, label)));
    scroller = h("div", { class: "star-scroll", tabindex: "0", role: "table", "aria-rowcount": total, "aria-label": `Table ${outline.block}` }, head, spacer);
    status = h("span", { class: "muted star-status", role: "status" });
    const jump = h("input", { type: "text", class: "short", inputmode: "numeric", placeholder: "row", "aria-label": "Go to row" });
    jump.addEventListener("change", () => { const row = Number(jump.value.replace(/\s/g, "")); if (row >= 1) go(row - 1); });
    chooser = h("div", { class: "segments", role: "tablist", "aria-label": "Blocks" });
    showBlocks();
    clear(root, h("div", { class: "star-bar" }, chooser, h("span", { class: "grow" }), status, h("label", { class: "inline" }, "Go to", jump)), scroller);
    scroller.addEventListener("scroll", scrolled);
    scroller.addEventListener("keydown", (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1, PageDown: visible() - 2, PageUp: 2 - visible() }[event.key];
      if (event.key === "Home") go(0);
      else if (event.key === "End") go(total - 1);
      else if (step) go(first + step);
      else return;
      event.preventDefault();
    });
    new ResizeObserver(later).observe(scroller);
    grow(sample);
    if (blocks.some((other) => !other.complete)) watch(index);
    later();
  }

  function showBlocks() {
    clear(chooser, blocks.map((other, number) =>
      h("button", { type: "button", role: "tab", "aria-selected": number === block, onclick: () => open(number) }, other.block || "(unnamed)")));
  }

  async function watch(index) {
    while (root.isConnected && block === index) {
      await new Promise((done) => setTimeout(done, 500));
      const found = await get("/api/files/blocks", { path });
      if (block !== index || !found.blocks[index]) return;
      const isLonger = found.blocks.length > blocks.length;
      blocks = found.blocks;
      if (isLonger) showBlocks();
      grow(blocks[index]);
      later();
      if (blocks.every((other) => other.complete)) return;
    }
  }

  (async () => {
    try {
      blocks = (await get("/api/files/blocks", { path })).blocks;
      const longest = blocks.reduce((best, other, index) => (other.total > blocks[best].total ? index : best), 0);
      await open(longest);
    } catch (error) {
      clear(root, failure(error));
    }
  })();
  return root;
}
