// Flow chart of the project: one box per job, in columns from inputs to results.

import { h, s, empty } from "./dom.js";

const WIDTH = 164;
const HEIGHT = 46;
const GAP_X = 32;
const GAP_Y = 16;
const MARGIN = 300; // px around the window

function columnsOf(jobs, edges) {
  const sources = new Map(jobs.map((job) => [job.name, []]));
  for (const [from, to] of edges) if (sources.has(to) && sources.has(from)) sources.get(to).push(from);
  const depth = new Map();
  const visit = (name, path) => {
    if (depth.has(name)) return depth.get(name);
    if (path.has(name)) return 0;
    path.add(name);
    const found = Math.max(-1, ...sources.get(name).map((other) => visit(other, path))) + 1;
    path.delete(name);
    depth.set(name, found);
    return found;
  };
  for (const job of jobs) visit(job.name, new Set());
  return { depth, sources };
}

export function flowChart(jobs, edges, { titles, states }) {
  if (!jobs.length) return empty("No jobs yet", "Choose a job type on the left to set up the first one.");
  const { depth, sources } = columnsOf(jobs, edges);
  const columns = [];
  for (const job of jobs) (columns[depth.get(job.name)] ||= []).push(job);
  const place = new Map();
  columns.forEach((column, index) => {
    const wish = (job) => {
      const rows = sources.get(job.name).map((name) => place.get(name)?.row ?? 0);
      return rows.length ? rows.reduce((sum, row) => sum + row, 0) / rows.length : Infinity;
    };
    const sorted = column.map((job) => [wish(job), job]).sort((a, b) => a[0] - b[0] || a[1].number - b[1].number);
    sorted.forEach(([, job], row) => place.set(job.name, { column: index, row }));
  });
  const tallest = Math.max(...columns.map((column) => column.length));
  const width = columns.length * (WIDTH + GAP_X) - GAP_X + 24;
  const height = tallest * (HEIGHT + GAP_Y) - GAP_Y + 36;
  const at = (name) => {
    const found = place.get(name);
    const rows = columns[found.column].length;
    const shift = tallest <= 12 ? ((tallest - rows) * (HEIGHT + GAP_Y)) / 2 : 0;
    return [12 + found.column * (WIDTH + GAP_X), 12 + shift + found.row * (HEIGHT + GAP_Y)];
  };
  const seen = new Set();
  const links = edges.filter(([from, to]) => place.has(from) && place.has(to) && from !== to && !seen.has(`${from}>${to}`) && seen.add(`${from}>${to}`));
  const line = ([from, to]) => {
    const [x1, y1] = at(from);
    const [x2, y2] = at(to);
    const start = [x1 + WIDTH, y1 + HEIGHT / 2];
    const end = [x2, y2 + HEIGHT / 2];
    const bend = Math.max(16, (end[0] - start[0]) / 2);
    if (place.get(to).column - place.get(from).column > 1) {
      // over more than one column the line goes below the boxes between
      const low = Math.max(start[1], end[1]) + HEIGHT / 2 + GAP_Y / 2;
      return s("path", { class: "flow-line", d: `M${start}C${start[0] + 18} ${start[1]} ${start[0] + 6} ${low} ${start[0] + GAP_X} ${low}L${end[0] - GAP_X} ${low}C${end[0] - 6} ${low} ${end[0] - 18} ${end[1]} ${end[0] - 5} ${end[1]}`, "marker-end": "url(#arrow)" });
    }
    return s("path", { class: "flow-line", d: `M${start}C${start[0] + bend} ${start[1]} ${end[0] - bend} ${end[1]} ${end[0] - 5} ${end[1]}`, "marker-end": "url(#arrow)" });
  };
  const box = (job) => {
    const [x, y] = at(job.name);
    const title = job.alias || `job${String(job.number).padStart(3, "0")}`;
    return s("a", { href: `#/job/${job.name.replace(/\/$/, "")}`, class: `flow-job ${job.status.toLowerCase()}`, transform: `translate(${x},${y})`, "aria-label": `${titles[job.kind] || job.kind} ${title}, ${states[job.status]}` },
      s("title", {}, `${job.name} ${job.alias || ""} (${states[job.status]})`),
      s("rect", { width: WIDTH, height: HEIGHT, rx: 7 }),
      s("rect", { class: "flow-state", width: 4, height: HEIGHT - 14, x: 7, y: 7, rx: 2 }),
      s("text", { class: "flow-title", x: 19, y: 20 }, title.length > 19 ? `${title.slice(0, 18)}…` : title),
      s("text", { class: "flow-type", x: 19, y: 36 }, `${titles[job.kind] || job.kind} · ${job.number}`));
  };

  // Of a large project only what is near the window is drawn, the rest as one scrolls to it.
  const lineLayer = s("g", {});
  const boxLayer = s("g", {});
  const open = [
    ...links.map((link) => ({ layer: lineLayer, make: () => line(link), left: at(link[0])[0], right: at(link[1])[0] + WIDTH, ys: [at(link[0])[1], at(link[1])[1]] })),
    ...jobs.map((job) => ({ layer: boxLayer, make: () => box(job), left: at(job.name)[0], right: at(job.name)[0] + WIDTH, ys: [at(job.name)[1]] })),
  ];
  const chart = h("div", { class: "flow", tabindex: "0", role: "group", "aria-label": "Flow chart of the jobs" },
    s("svg", { width, height, viewBox: `0 0 ${width} ${height}` },
      s("defs", {}, s("marker", { id: "arrow", viewBox: "0 0 8 8", refX: 6, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto" }, s("path", { class: "flow-head", d: "M0 0L8 4L0 8z" }))),
      lineLayer, boxLayer));
  let waiting = open;
  const draw = () => {
    const isSmall = jobs.length <= 150;
    const left = chart.scrollLeft - MARGIN;
    const right = chart.scrollLeft + (chart.clientWidth || 1280) + MARGIN;
    const top = chart.scrollTop - MARGIN;
    const bottom = chart.scrollTop + (chart.clientHeight || 720) + MARGIN;
    waiting = waiting.filter((part) => {
      const isNear = isSmall || (part.right > left && part.left < right && Math.max(...part.ys) + HEIGHT > top && Math.min(...part.ys) < bottom);
      if (isNear) part.layer.append(part.make());
      return !isNear;
    });
  };
  chart.addEventListener("scroll", () => requestAnimationFrame(draw), { passive: true });
  draw();
  return chart;
}
