// Two jobs side by side: curves, numbers, maps that turn together, settings that differ.

import { h, clear, failure, busy, empty, number } from "./dom.js";
import { get } from "./api.js";
import { linePlot } from "./plot.js";
import { mapCards, postprocessFsc } from "./results.js";
import { card, fscPlot } from "./refinement.js";
import { jobTitle, stateBadge } from "./jobview.js";

const COLORS = ["var(--plot-last)", "var(--plot-1)"];

export function compareView(jobs, first, second) {
  const root = h("div", { class: "page compare-page" });
  const body = h("div", { class: "compare-body" });
  const releases = [];
  const pick = (value, index) => h("select", { "aria-label": index ? "Second job" : "First job", onchange: (event) => go(index, event.target.value) },
    h("option", { value: "" }, "Choose a job"), jobs.map((job) => h("option", { value: job.name, selected: job.name === value }, `${job.name.replace(/\/$/, "")}${job.alias ? ` (${job.alias})` : ""}`)));
  function go(index, name) {
    const pair = [first, second];
    pair[index] = name;
    location.hash = `#/compare/${encodeURIComponent(pair[0] || "")}/${encodeURIComponent(pair[1] || "")}`;
  }
  root.append(h("div", { class: "page-head" }, h("div", { class: "grow" }, h("h1", {}, "Compare")), pick(first, 0), pick(second, 1)), body);
  root.release = () => releases.forEach((release) => release());
  if (!first || !second) { body.append(empty("Choose two jobs", "Their curves, maps and settings are shown side by side.")); return root; }

  async function load(name) {
    const job = jobs.find((other) => other.name === name);
    if (!job) throw new Error(`${name}: there is no such job.`);
    const [results, settings, progress] = await Promise.all([get("/api/results", { job: name }), get("/api/job/settings", { job: name }), job.kind === "Refine3D" ? get("/api/refinement/progress", { job: name }) : null]);
    return { job, results, settings, progress };
  }

  (async () => {
    clear(body, busy());
    let pair;
    try { pair = await Promise.all([load(first), load(second)]); } catch (error) { clear(body, failure(error)); return; }
    const name = (found) => `${found.job.number}: ${jobTitle(found.job)}`;
    const curves = pair.map((found) => {
      if (found.results.postprocess) return postprocessFsc(found.results.postprocess);
      if (found.progress?.history.length) return fscPlot([found.progress.fsc.at(-1)], [found.progress.history.at(-1)], { fill: false });
      return null;
    });
    const blocks = [];
    if (curves.some(Boolean)) {
      const series = curves.flatMap((spec, index) => (spec ? [{ ...spec.series[0], name: name(pair[index]), color: COLORS[index], width: 2 }] : []));
      const base = curves.find(Boolean);
      const right = Math.max(...curves.filter(Boolean).map((spec) => spec.xRange[1]));
      blocks.push(card("Fourier shell correlation", linePlot({ ...base, series, xRange: [0, right] }), { class: "full" }));
    }
    if (pair.some((found) => found.progress?.history.length)) {
      const series = pair.flatMap((found, index) => (found.progress?.history.length ? [{ name: name(found), x: found.progress.history.map((row) => row.iteration), y: found.progress.history.map((row) => row.resolution), color: COLORS[index], marks: true }] : []));
      blocks.push(card("Resolution", linePlot({ series, xLabel: "iteration", yLabel: "resolution (Å)", xWhole: true, xValue: (value) => `iteration ${value}`, yValue: (value) => `${number(value)} Å`, height: 220 }), { class: "full" }));
    }
    const linked = [];
    const columns = pair.map((found, index) => {
      const map = found.results.maps[0];
      const cards = map ? mapCards(map.path, map.path.split("/").pop(), linked, index ? "amber" : "teal") : null;
      if (cards) releases.push(cards.release);
      return h("div", { class: "compare-column" }, h("h2", {}, h("a", { href: `#/job/${found.job.name.replace(/\/$/, "")}` }, jobTitle(found.job)), stateBadge(found.job.status)),
        h("p", { class: "muted" }, found.job.name), cards ? cards.cards : empty("No map"));
    });
    blocks.push(h("div", { class: "compare-columns" }, columns));
    const keys = [...new Set(pair.flatMap((found) => Object.keys(found.settings.values)))].filter((key) => pair.every((found) => key in found.settings.labels) && pair[0].settings.values[key] !== pair[1].settings.values[key]);
    const labels = pair[0].settings.labels;
    const isOneKind = pair[0].job.base_type === pair[1].job.base_type;
    blocks.push(card("Settings that differ", keys.length ? h("div", { class: "table-scroll" }, h("table", { class: "plain-table" }, h("thead", {}, h("tr", {}, h("th", {}, "Option"), pair.map((found) => h("th", {}, name(found))))),
      h("tbody", {}, keys.map((key) => h("tr", {}, h("th", { scope: "row" }, labels[key] || key), pair.map((found) => h("td", {}, found.settings.values[key] ?? "–"))))))) : empty("None", isOneKind ? "Both jobs have the same settings." : "The jobs are of different types; the settings that both have are the same."), { class: "full" }));
    clear(body, blocks);
  })();
  return root;
}
