// Results of jobs other than refinements, by kind of file.

import { h, clear, failure, busy, empty, number, significant } from "./dom.js";
import { get, news } from "./api.js";
import { linePlot } from "./plot.js";
import { surfaceView } from "./volume.js";
import { sliceView } from "./slices.js";
import { particleView } from "./particles.js";
import { starTable } from "./startable.js";
import { logView } from "./log.js";
import { card } from "./refinement.js";
import { fileLink } from "./files.js";

const FSC = {
  corrected: ["corrected for the mask", "var(--plot-last)", 2.4], unmasked: ["without mask", "var(--plot-1)", 1.5],
  masked: ["with mask", "var(--plot-3)", 1.5], random: ["with mask, random phases", "var(--plot-2)", 1.5],
};
const GUINIER = {
  original: ["as reconstructed", "var(--plot-4)"], mtf: ["divided by the MTF", "var(--plot-2)"],
  weighted: ["FSC-weighted", "var(--plot-3)"], sharpened: ["sharpened", "var(--plot-last)"], fit: ["fit", "var(--plot-1)"],
};

export function postprocessFsc(data) {
  const x = data.fsc.frequency;
  const series = Object.entries(FSC).filter(([key]) => data.fsc[key]).map(([key, [name, color, width]]) => ({ name, x, y: data.fsc[key], color, width }));
  const resolution = (value) => (value > 0 ? (1 / value).toPrecision(3) : "∞");
  return {
    series, xLabel: "spatial frequency (1/Å)", yLabel: "FSC", yRange: [-0.1, 1.03], xRange: [0, x.at(-1)], levels: [{ y: 0.143, text: "0.143" }, { y: 0.5, text: "0.5" }],
    xTop: (value) => (value > 0 ? `${resolution(value)} Å` : ""), xValue: (value) => `${significant(value)} 1/Å = ${resolution(value)} Å`, yValue: (value) => number(value, 3), height: 300,
  };
}

function guinier(data) {
  const x = data.guinier.frequency_squared;
  const series = Object.entries(GUINIER).filter(([key]) => data.guinier[key]).map(([key, [name, color]]) => ({ name, x, y: data.guinier[key], color, dash: key === "fit" ? "5 4" : null }));
  const xTick = (value) => (value > 0 ? significant(value) : "0");
  return { series, xLabel: "1/d² (1/Å²)", yLabel: "ln amplitude", xTick, xValue: (value) => `${significant(value)} 1/Å² = ${value > 0 ? (1 / Math.sqrt(value)).toPrecision(3) : "∞"} Å`, height: 300 };
}

function facts(pairs) {
  return h("div", { class: "strip" }, pairs.filter(Boolean).map(([label, value, note]) => h("div", { class: "fact" }, h("span", { class: "fact-label" }, label), h("b", {}, value), note && h("span", { class: "muted" }, note))));
}

// `linked` lists the surfaces that turn together.
export function mapCards(path, title, linked, tint) {
  const surface = surfaceView({ linked, tint });
  linked?.push(surface);
  const slices = sliceView();
  surface.show(path);
  slices.show(path);
  const link = h("a", { class: "muted path", href: fileLink(path) }, path.split("/").pop());
  const cards = [card(title, surface, { tools: link }), card("Slices", slices)];
  return { cards, release: () => surface.release() };
}

export function resultsView(job) {
  const root = h("div", { class: "results" }, busy());
  let log = null;
  let parts = [];

  async function refresh() {
    for (const part of parts) part.release?.();
    parts = [];
    let data;
    try { data = await get("/api/results", { job: job.name }); } catch (error) { clear(root, failure(error)); return; }
    const blocks = [];
    if (data.postprocess) {
      const found = data.postprocess;
      blocks.push(facts([["Resolution", `${number(found.resolution)} Å`, "FSC 0.143, corrected"], ["B-factor", `${number(found.bfactor, 1)} Å²`], found.mask_fraction !== null && ["Sphere in the box", `${number(found.mask_fraction, 1)} ×`, "the volume of the mask"], found.randomised_from !== null && ["Random phases", `beyond ${number(found.randomised_from)} Å`]]));
      const fsc = linePlot(postprocessFsc(found));
      const plot = linePlot(guinier(found));
      blocks.push(h("div", { class: "grid half" }, card("Fourier shell correlation", fsc), card("Guinier plot", plot)));
    }
    if (data.maps.length) {
      const linked = [];
      const holder = h("div", {});
      const chooser = h("div", { class: "segments", role: "tablist", "aria-label": "Map" });
      const show = (path) => {
        for (const part of parts) part.release?.();
        parts = [];
        linked.length = 0;
        clear(chooser, data.maps.map((other) => h("button", { type: "button", role: "tab", "aria-selected": other.path === path, onclick: () => show(other.path) }, other.path.split("/").pop())));
        const found = mapCards(path, "3D surface", linked, data.maps.find((other) => other.path === path).kind === "mask" ? "amber" : "teal");
        parts.push(found);
        clear(holder, h("div", { class: "grid maps" }, found.cards));
      };
      show(data.maps[0].path);
      blocks.push(data.maps.length > 1 && h("div", { class: "bar" }, chooser), holder);
    }
    for (const path of data.particles) blocks.push(card("Particles", particleView(path), { class: "full", tools: h("a", { class: "muted path", href: fileLink(path) }, path) }));
    for (const path of data.tables) blocks.push(card("Table", h("div", { class: "short-table" }, starTable(path)), { class: "full", tools: h("a", { class: "muted path", href: fileLink(path) }, path) }));
    if (!blocks.length) {
      const words = { Running: ["The job is running", "Results appear here when it ends; the log below follows it."], Scheduled: ["Scheduled", "The job has been set up. Run starts it."], Failed: ["The job has failed", "The log says why."], Aborted: ["The job was aborted", "It can be continued or cloned."] }[job.status] || ["No results to show", "The files of the job are in the tab Files."];
      blocks.push(empty(...words));
    }
    log?.release();
    log = logView(job.name, { height: 220, file: job.status === "Failed" ? "run.err" : "run.out" });
    clear(root, data.warnings.length > 0 && h("div", { class: `notice ${job.status === "Failed" ? "bad" : "warn"}` }, h("ul", {}, data.warnings.map((text) => h("li", {}, text)))), blocks, job.status !== "Scheduled" && card("Log", log, { class: "full" }));
    root.dataset.ready = job.status;
  }

  const offs = [news.on("hello", () => {})];
  root.update = (next) => { const isOther = next.status !== job.status; job = next; if (isOther) refresh(); };
  root.release = () => { offs.forEach((off) => off()); log?.release(); parts.forEach((part) => part.release?.()); };
  refresh();
  return root;
}
