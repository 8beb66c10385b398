// Line plots in SVG: axes, legend, and the values under the pointer or the arrow keys.

import { h, s, significant } from "./dom.js";

const MARGIN = { left: 52, right: 14, top: 14, bottom: 38 };

function niceStep(span, n) {
  const rough = span / Math.max(n, 1);
  const power = 10 ** Math.floor(Math.log10(rough));
  for (const factor of [1, 2, 2.5, 5, 10]) if (rough <= factor * power * 1.0001) return factor * power;
  return 10 * power;
}

function linearTicks(low, high, n, isWhole) {
  let step = niceStep(high - low || 1, n);
  if (isWhole) step = Math.max(1, Math.round(step));
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) ticks.push(Number((i * step).toPrecision(12)));
  return ticks;
}

function logTicks(low, high) {
  const ticks = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
    for (const factor of high / low > 300 ? [1] : [1, 2, 5]) {
      const value = Number((factor * 10 ** power).toPrecision(6));
      if (value >= low * 0.999 && value <= high * 1.001) ticks.push(value);
    }
  }
  return ticks;
}

// spec: { series: [{ name, x, y, color, dash, width, step, marks, quiet }], xLabel, yLabel, yLog,
//         yRange, xRange, xWhole, levels: [{ y, text }], bands: [{ to, text }], xValue, yValue, xTick,
//         caption, height }
export function linePlot(spec) {
  const figure = h("figure", { class: "plot" });
  const holder = h("div", { class: "plot-area", tabindex: "0", role: "img" });
  const tip = h("div", { class: "plot-tip", hidden: true });
  const legend = h("figcaption", { class: "plot-legend" });
  holder.append(tip);
  figure.append(holder, legend);
  let drawing = null;
  let current = spec;
  let picked = null;

  function draw() {
    const width = holder.clientWidth;
    if (width < 40) return;
    const height = current.fill ? Math.max(260, holder.clientHeight) : current.height || 240;
    holder.classList.toggle("fill", Boolean(current.fill));
    if (!current.fill) holder.style.height = `${height}px`;
    if (drawing) drawing.svg.remove();
    drawing = render(current, width, height);
    holder.prepend(drawing.svg);
    holder.setAttribute("aria-label", describe(current));
    legend.replaceChildren(...legendItems(current));
    tip.hidden = true;
  }

  function point(x) {
    if (!drawing) return;
    const all = drawing.positions;
    if (!all.length) return;
    picked = all.reduce((best, value) => (Math.abs(value - x) < Math.abs(best - x) ? value : best), all[0]);
    const rows = [];
    for (const line of current.series) {
      const index = line.x.indexOf(picked);
      if (index >= 0 && line.y[index] !== null && !line.quiet) rows.push([line, line.y[index]]);
    }
    const format = current.xValue || ((value) => significant(value));
    tip.replaceChildren(h("b", {}, format(picked)),
      ...rows.slice(0, 14).map(([line, value]) => h("div", {},
        h("i", { class: "swatch", style: { background: line.color } }),
        h("span", {}, line.name), h("em", {}, (current.yValue || significant)(value)))));
    const px = drawing.xOf(picked);
    drawing.cursor.setAttribute("transform", `translate(${px},0)`);
    drawing.cursor.setAttribute("visibility", "visible");
    tip.hidden = false;
    const room = holder.clientWidth;
    tip.style.left = `${px > room / 2 ? px - tip.offsetWidth - 10 : px + 10}px`;
    tip.style.top = "12px";
  }

  function leave() {
    tip.hidden = true;
    if (drawing) drawing.cursor.setAttribute("visibility", "hidden");
  }

  holder.addEventListener("pointermove", (event) => {
    if (drawing) point(drawing.valueAt(event.clientX - holder.getBoundingClientRect().left));
  });
  holder.addEventListener("pointerleave", leave);
  holder.addEventListener("blur", leave);
  holder.addEventListener("keydown", (event) => {
    if (!drawing || !["ArrowLeft", "ArrowRight", "Home", "End"].includes(event.key)) return;
    event.preventDefault();
    const all = drawing.positions;
    const index = all.indexOf(picked);
    const next = { ArrowLeft: Math.max(index - 1, 0), ArrowRight: Math.min(index + 1, all.length - 1), Home: 0, End: all.length - 1 }[event.key];
    if (all.length) point(all[next]);
  });
  new ResizeObserver(draw).observe(holder);

  figure.update = (next) => { current = next; draw(); };
  return figure;
}

function legendItems(spec) {
  const shown = spec.series.filter((line) => line.name && !line.quiet && line.y.some((value) => value !== null));
  const chosen = shown.length <= 7 ? shown : shown.filter((_, index) => index === 0 || index === shown.length - 1 || index % Math.ceil(shown.length / 5) === 0);
  const items = chosen.map((line) => h("span", {}, h("i", { class: line.dash ? "swatch dashed" : "swatch", style: { background: line.color, color: line.color } }), line.name));
  if (spec.caption) items.push(h("span", { class: "muted" }, spec.caption));
  return items;
}

function describe(spec) {
  const last = spec.series.filter((line) => line.y.length && !line.quiet).slice(-3).map((line) => {
    const values = line.y.filter((value) => value !== null);
    return `${line.name}: last ${significant(values[values.length - 1])}`;
  });
  return `Plot of ${spec.yLabel} against ${spec.xLabel}. ${last.join("; ")}. Arrow keys read values.`;
}

function range(spec, axis, isLog) {
  let low = Infinity;
  let high = -Infinity;
  for (const line of spec.series) {
    for (const value of line[axis]) {
      if (value === null || (isLog && value <= 0)) continue;
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  if (low > high) return isLog ? [0.1, 1] : [0, 1];
  if (low === high) return isLog ? [low / 1.5, high * 1.5] : [low - 0.5, high + 0.5];
  return [low, high];
}

function render(spec, width, height) {
  const inner = { width: width - MARGIN.left - MARGIN.right, height: height - MARGIN.top - MARGIN.bottom - (spec.xTop ? 14 : 0) };
  const top = MARGIN.top + (spec.xTop ? 14 : 0);
  const [x0, x1] = spec.xRange || range(spec, "x", false);
  let [y0, y1] = spec.yRange || range(spec, "y", spec.yLog);
  if (!spec.yRange) {
    if (spec.yLog) { y0 /= 1.15; y1 *= 1.15; } else { const pad = (y1 - y0) * 0.06; y0 = spec.yZero ? Math.min(0, y0) : y0 - pad; y1 += pad; }
  }
  const xOf = (value) => MARGIN.left + ((value - x0) / (x1 - x0 || 1)) * inner.width;
  const scale = spec.yLog ? Math.log10 : (value) => value;
  const yOf = (value) => top + inner.height * (1 - (scale(value) - scale(y0)) / (scale(y1) - scale(y0) || 1));
  const svg = s("svg", { width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });

  for (const band of spec.bands || []) {
    svg.append(s("rect", { class: "band", x: MARGIN.left, y: top, width: Math.max(0, xOf(Math.min(band.to, x1)) - MARGIN.left), height: inner.height }));
  }
  const yTicks = spec.yLog ? logTicks(y0, y1) : linearTicks(y0, y1, inner.height / 42);
  for (const value of yTicks) {
    const y = yOf(value);
    svg.append(s("line", { class: "grid", x1: MARGIN.left, x2: MARGIN.left + inner.width, y1: y, y2: y }),
      s("text", { class: "tick", x: MARGIN.left - 7, y: y + 4, "text-anchor": "end" }, significant(value)));
  }
  const xTicks = linearTicks(x0, x1, inner.width / (spec.xWhole ? 45 : 70), spec.xWhole);
  for (const value of xTicks) {
    const x = xOf(value);
    svg.append(s("line", { class: "axis", x1: x, x2: x, y1: top + inner.height, y2: top + inner.height + 4 }),
      s("text", { class: "tick", x, y: top + inner.height + 17, "text-anchor": "middle" }, (spec.xTick || significant)(value)));
    if (spec.xTop) svg.append(s("text", { class: "tick", x, y: top - 6, "text-anchor": "middle" }, spec.xTop(value)));
  }
  svg.append(s("line", { class: "axis", x1: MARGIN.left, x2: MARGIN.left + inner.width, y1: top + inner.height, y2: top + inner.height }),
    s("text", { class: "label", x: MARGIN.left + inner.width / 2, y: height - 4, "text-anchor": "middle" }, spec.xLabel),
    s("text", { class: "label", transform: `translate(12,${top + inner.height / 2}) rotate(-90)`, "text-anchor": "middle" }, spec.yLabel));
  for (const level of spec.levels || []) {
    if (level.y < y0 || level.y > y1) continue;
    const y = yOf(level.y);
    svg.append(s("line", { class: "level", x1: MARGIN.left, x2: MARGIN.left + inner.width, y1: y, y2: y }),
      s("text", { class: "tick", x: MARGIN.left + inner.width - 2, y: y - 4, "text-anchor": "end" }, level.text));
  }
  const cursor = s("line", { class: "cursor", x1: 0, x2: 0, y1: top, y2: top + inner.height, visibility: "hidden" });
  svg.append(cursor);
  const positions = new Set();
  for (const line of spec.series) {
    let d = "";
    let isDown = false;
    let before = null;
    line.x.forEach((x, index) => {
      const y = line.y[index];
      if (y === null || y === undefined || (spec.yLog && y <= 0)) { isDown = false; return; }
      if (!line.quiet) positions.add(x);
      const px = xOf(x).toFixed(1);
      const py = Math.min(Math.max(yOf(y), top - 4), top + inner.height + 4).toFixed(1);
      if (isDown && line.step) {
        const middle = xOf((x + before.x) / 2).toFixed(1);
        d += `L${middle} ${before.py}L${middle} ${py}`;
      }
      d += `${isDown ? "L" : "M"}${px} ${py}`;
      isDown = true;
      before = { x, py };
    });
    const stroke = { stroke: line.color, "stroke-width": line.width || 1.6, "stroke-dasharray": line.dash };
    svg.append(s("path", { class: "line", d, style: { stroke: stroke.stroke }, "stroke-width": stroke["stroke-width"], "stroke-dasharray": stroke["stroke-dasharray"] }));
    if (line.marks) {
      line.x.forEach((x, index) => {
        const y = line.y[index];
        if (y === null || y === undefined || (spec.yLog && y <= 0)) return;
        svg.append(s("circle", { cx: xOf(x), cy: yOf(y), r: 2.6, style: { fill: line.color } }));
      });
    }
  }
  return {
    svg, cursor, xOf,
    positions: [...positions].sort((a, b) => a - b),
    valueAt: (px) => x0 + ((px - MARGIN.left) / inner.width) * (x1 - x0),
  };
}

// Colours of a sequence, from violet to yellow-green; both themes keep contrast.
export function sequenceColor(fraction) {
  const stops = [[91, 66, 160], [52, 108, 176], [28, 145, 150], [62, 174, 110], [170, 184, 40]];
  const place = Math.min(Math.max(fraction, 0), 1) * (stops.length - 1);
  const index = Math.min(Math.floor(place), stops.length - 2);
  const mix = stops[index].map((value, channel) => Math.round(value + (stops[index + 1][channel] - value) * (place - index)));
  return `rgb(${mix.join(",")})`;
}

export function bar(values, options = {}) {
  const top = Math.max(...values, 1);
  const width = 240;
  const height = 44;
  const step = width / values.length;
  const height_of = (value) => (value > 0 ? Math.max(1, (Math.log1p(value) / Math.log1p(top)) * height) : 0);
  return s("svg", { class: "bars", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": options.label },
    values.map((value, index) => s("rect", { x: index * step, y: height - height_of(value), width: step * 0.9, height: height_of(value) })));
}
