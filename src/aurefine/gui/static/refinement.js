// A refinement while it runs and afterwards: stage, curves, orientations, slices, surface, log.

import { h, clear, number, significant, duration, failure, busy, empty, oneAtATime } from "./dom.js";
import { get, news } from "./api.js";
import { linePlot, sequenceColor } from "./plot.js";
import { mollweide, sphere, colorScale } from "./sphere.js";
import { surfaceView } from "./volume.js";
import { sliceView } from "./slices.js";
import { logView } from "./log.js";

const MAIN = "var(--plot-1)";
const SECOND = "var(--plot-2)";
const THIRD = "var(--plot-3)";
const QUIET = "var(--plot-4)";

export function card(title, content, options = {}) {
  return h("section", { class: `card ${options.class || ""}` }, h("div", { class: "card-head" }, h("h3", {}, title), options.tools), content);
}

export function fscPlot(curves, history, options = {}) {
  const series = [];
  const step = history.at(-1).shell_width;
  curves.forEach((curve, index) => {
    const row = history[index];
    const isLast = index === curves.length - 1;
    const reached = curve.map((value, shell) => (shell > 0 && value === 0 && curve.slice(shell).every((rest) => rest === 0) ? null : value));
    series.push({
      name: row.joined ? "final" : `iteration ${row.iteration}`,
      x: curve.map((_, shell) => Number((shell * row.shell_width).toPrecision(8))), y: reached,
      color: isLast ? "var(--plot-last)" : sequenceColor(curves.length > 1 ? index / (curves.length - 1) : 1),
      width: isLast ? 2.4 : 1.2,
    });
  });
  const resolution = (value) => (value > 0 ? (1 / value).toPrecision(3) : "∞");
  const marks = [{ y: 0.143, text: "0.143" }, { y: 0.5, text: "0.5" }];
  return {
    series, xLabel: "spatial frequency (1/Å)", yLabel: "FSC", yRange: [Math.min(-0.1, ...curves.at(-1).filter((v) => v !== null)), 1.03],
    xRange: [0, (curves.at(-1).length - 1) * step], levels: marks, xTop: (value) => (value > 0 ? `${resolution(value)} Å` : ""),
    xValue: (value) => `${significant(value)} 1/Å = ${resolution(value)} Å`, yValue: (value) => number(value, 3), fill: options.fill ?? true,
  };
}

export function progressPlots(history) {
  const x = history.map((row) => row.iteration);
  const column = (name) => history.map((row) => row[name] ?? null);
  const common = { xLabel: "iteration", xWhole: true, xValue: (value) => `iteration ${value}`, height: 210 };
  const line = (name, label, color, more = {}) => ({ name: label, x, y: column(name), color, marks: true, ...more });
  return {
    resolution: { ...common, yLabel: "resolution (Å)", series: [line("resolution", "current resolution", MAIN), line("fsc_resolution", "FSC = 0.143", THIRD)] },
    angles: { ...common, yLabel: "angles (°)", yLog: true, series: [line("angular_step", "sampling step", QUIET, { step: true, marks: false }), line("accuracy_angles", "estimated accuracy", MAIN), line("changes_angles", "change", SECOND)] },
    offsets: { ...common, yLabel: "offsets (Å)", yLog: true, series: [line("offset_step", "sampling step", QUIET, { step: true, marks: false }), line("accuracy_offsets", "estimated accuracy", MAIN), line("changes_offsets", "change", SECOND)] },
    pmax: { ...common, yLabel: "mean Pmax", yRange: [0, 1], series: [line("pmax", "mean probability of the best pose", THIRD)] },
  };
}

export function refinementView(job) {
  const root = h("div", { class: "refinement" }, busy());
  const path = (name) => `${job.name}${name}`;
  let parts = null;
  let lastDirections = "";

  function build() {
    const surface = surfaceView();
    const slices = sliceView();
    const chooser = h("div", { class: "segments", role: "tablist", "aria-label": "Map" });
    parts = {
      strip: h("div", { class: "strip" }), warnings: h("div", {}), chooser, surface, slices,
      resolution: linePlot({ series: [], xLabel: "", yLabel: "" }), angles: linePlot({ series: [], xLabel: "", yLabel: "" }),
      offsets: linePlot({ series: [], xLabel: "", yLabel: "" }), pmax: linePlot({ series: [], xLabel: "", yLabel: "" }),
      fsc: linePlot({ series: [], xLabel: "", yLabel: "", fill: true }),
      mollweide: mollweide(), sphere: sphere(), scale: h("div", {}), orientationNote: h("p", { class: "muted" }),
      log: logView(job.name, { height: 260 }), chosen: null, wish: null,
    };
    const p = parts;
    p.curves = h("div", { class: "grid curves" },
      card("Fourier shell correlation", p.fsc, { class: "wide" }), card("Resolution", p.resolution), card("Angles", p.angles), card("Offsets", p.offsets), card("Pmax", p.pmax));
    p.maps = h("div", { class: "grid maps" },
      card("3D surface", surface, { tools: chooser, class: "tall" }), card("Central slices", slices),
      card("Orientation distribution", h("div", {}, h("div", { class: "orientations" }, h("div", {}, p.mollweide, p.scale), p.sphere), p.orientationNote)));
    clear(root, p.strip, p.warnings, p.curves, p.maps, card("Log", p.log, { class: "full" }));
  }

  function showStrip(data) {
    const last = data.history.at(-1);
    const stage = data.stage;
    const isRunning = job.status === "Running";
    const items = [];
    const fact = (label, value, note) => items.push(h("div", { class: "fact" }, h("span", { class: "fact-label" }, label), h("b", {}, value), note && h("span", { class: "muted" }, note)));
    if (isRunning) {
      const share = stage.fraction ?? 0;
      const words = stage.iteration === null ? stage.name : `Iteration ${stage.iteration}: ${stage.name}${stage.is_last ? " (last iteration)" : ""}`;
      items.push(h("div", { class: "stage" }, h("b", {}, words),
        h("div", { class: "progress", role: "progressbar", "aria-label": "Search of this iteration", "aria-valuenow": Math.round(share * 100), "aria-valuemin": 0, "aria-valuemax": 100 },
          h("span", { style: { width: `${share * 100}%` } })),
        h("span", { class: "muted" }, stage.seconds_left >= 1 ? `about ${duration(stage.seconds_left)} left in this iteration` : share === 1 ? "the search of this iteration is done" : stage.last_seconds ? `the iteration before took ${duration(stage.last_seconds)}` : "the time left shows once the search has begun")));
    }
    if (last) {
      fact("Resolution", `${number(last.resolution)} Å`, last.joined ? "all particles" : `iteration ${last.iteration}`);
      fact("Accuracy", last.accuracy_angles === null ? "–" : `${number(last.accuracy_angles)}°`, last.accuracy_offsets === null ? null : `${number(last.accuracy_offsets)} Å`);
      fact("Changes", last.changes_angles === null ? "–" : `${number(last.changes_angles)}°`, last.changes_offsets === null ? null : `${number(last.changes_offsets)} Å`);
      fact("Sampling", `${significant(last.angular_step)}°`, `${significant(last.offset_step)} Å, ${last.is_local ? "local" : "global"}`);
      fact("Pmax", number(last.pmax, 3), `image size ${last.current_size} px`);
    }
    clear(parts.strip, items);
  }

  function showMaps(data) {
    const p = parts;
    const kinds = { map: "Final map", half1: "Half 1", half2: "Half 2" };
    const present = Object.keys(kinds).filter((kind) => data.files[kind]);
    p.chosen = present.includes(p.wish) ? p.wish : present[0] || null;
    clear(p.chooser, present.map((kind) => h("button", { type: "button", role: "tab", "aria-selected": kind === p.chosen, onclick: () => { p.wish = kind; showMaps(data); } }, kinds[kind])));
    if (p.chosen) {
      p.surface.show(path(data.files[p.chosen]));
      p.slices.show(path(data.files[p.chosen]));
    }
  }

  let newestData = "";
  const showDirections = oneAtATime(async () => {
    const file = newestData;
    if (!file || file === lastDirections) return;
    lastDirections = file;
    try {
      const found = await get("/api/refinement/directions", { job: job.name });
      if (!found.counts) return;
      const top = Math.max(...found.counts.flat());
      parts.mollweide.update(found.counts);
      parts.sphere.update(found.counts);
      clear(parts.scale, colorScale(top));
      parts.orientationNote.textContent = `${found.particles} particles${found.symmetry === "C1" ? "" : `, spread over their symmetry mates (${found.symmetry})`}, bins of equal area, from ${found.file}.`;
    } catch (error) {
      lastDirections = "";
      clear(parts.orientationNote, String(error.message));
    }
  });

  async function refresh() {
    let data;
    try { data = await get("/api/refinement/progress", { job: job.name }); } catch (error) { clear(root, failure(error)); return; }
    if (!root.isConnected && parts) return;
    if (!parts) build();
    showStrip(data);
    clear(parts.warnings, data.warnings.length > 0 && h("details", { class: "notice warn", open: data.warnings.length < 3 }, h("summary", {}, `${data.warnings.length} warning${data.warnings.length > 1 ? "s" : ""}`), h("ul", {}, data.warnings.map((text) => h("li", {}, text)))));
    const hasHistory = data.history.length > 0;
    parts.curves.hidden = !hasHistory;
    parts.maps.hidden = !Object.keys(data.files).length;
    if (hasHistory) {
      const plots = progressPlots(data.history);
      for (const name of Object.keys(plots)) parts[name].update(plots[name]);
      parts.fsc.update(fscPlot(data.fsc, data.history));
    }
    root.dataset.iterations = String(data.history.length);
    showMaps(data);
    newestData = data.files.data || "";
    showDirections();
  }

  const refreshOnce = oneAtATime(refresh);
  const offs = [news.on("files", refreshOnce), news.on("hello", refreshOnce)];
  const timer = setInterval(() => { if (job.status === "Running" && parts) refreshOnce(); }, 5000);
  root.release = () => { offs.forEach((off) => off()); clearInterval(timer); parts?.log.release(); parts?.surface.release(); };
  root.update = (next) => { job = next; refreshOnce(); };
  refreshOnce();
  return root;
}

export { empty };
