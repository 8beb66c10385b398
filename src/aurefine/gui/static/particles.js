// Particle images with their CTF and pose values.

import { h, clear, count, button, failure, busy, empty } from "./dom.js";
import { get } from "./api.js";

const PAGE = 40;
const NAMES = {
  rlnDefocusU: "defocus U (Å)", rlnDefocusV: "defocus V (Å)", rlnDefocusAngle: "astigmatism (°)", rlnPhaseShift: "phase shift (°)",
  rlnCtfMaxResolution: "CTF fit to (Å)", rlnAngleRot: "rot (°)", rlnAngleTilt: "tilt (°)", rlnAnglePsi: "psi (°)",
  rlnOriginXAngst: "offset x (Å)", rlnOriginYAngst: "offset y (Å)", rlnRandomSubset: "half set", rlnMaxValueProbDistribution: "Pmax",
  rlnNormCorrection: "norm", rlnOpticsGroup: "optics group", rlnMicrographName: "micrograph", rlnCoordinateX: "x (px)", rlnCoordinateY: "y (px)",
  rlnImageName: "image",
};

export function particleView(path) {
  const root = h("div", { class: "particles" }, busy());
  let start = 0;
  let total = 0;

  async function show(row) {
    start = Math.max(0, Math.min(row, Math.max(0, total - 1)));
    let found;
    try { found = await get("/api/files/particles", { path, start, count: PAGE }); } catch (error) { clear(root, failure(error)); return; }
    total = found.total;
    if (!found.particles.length) { clear(root, empty("No particles", "The table has no rows.")); return; }
    const picture = new Image();
    picture.src = found.picture;
    await picture.decode();
    const side = h("aside", { class: "particle-values" });
    const tiles = found.particles.map((values, index) => {
      const canvas = h("canvas", { width: found.tile, height: found.tile });
      canvas.getContext("2d").drawImage(picture, (index % found.columns) * found.tile, Math.floor(index / found.columns) * found.tile,
        found.tile, found.tile, 0, 0, found.tile, found.tile);
      const defocus = values.rlnDefocusU ? `${(Number(values.rlnDefocusU) / 10000).toFixed(2)} µm` : "";
      return h("button", { type: "button", class: "particle", "aria-label": `Particle ${found.start + index + 1}`, onclick: (event) => choose(event.currentTarget, values, found.start + index) },
        canvas, h("span", {}, count(found.start + index + 1)), h("span", { class: "muted" }, defocus));
    });
    function choose(tile, values, index) {
      for (const other of tiles) other.classList.toggle("chosen", other === tile);
      clear(side, h("h4", {}, `Particle ${count(index + 1)}`),
        h("dl", { class: "facts" }, Object.entries(values).map(([label, value]) => [h("dt", { title: label }, NAMES[label] || label),
          h("dd", { title: value }, shortNumber(value))])));
    }
    const go = (where) => () => show(where);
    clear(root,
      h("div", { class: "bar" },
        button("Previous", { kind: "small", disabled: start === 0, onclick: go(start - PAGE) }),
        button("Next", { kind: "small", disabled: start + PAGE >= total, onclick: go(start + PAGE) }),
        h("span", { class: "muted" }, `${count(start + 1)} to ${count(start + tiles.length)} of ${count(total)}${found.complete ? "" : " so far"}`)),
      found.problem && h("div", { class: "notice" }, found.problem),
      h("div", { class: "particle-page" }, h("div", { class: "particle-grid" }, tiles), side));
    choose(tiles[0], found.particles[0], found.start);
    root.dataset.ready = String(start);
  }
  show(0);
  return root;
}

function shortNumber(text) {
  const value = Number(text);
  return text !== "" && Number.isFinite(value) && text.includes(".") ? String(Number(value.toFixed(3))) : text;
}
