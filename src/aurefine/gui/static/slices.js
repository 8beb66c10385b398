// Central slices of a map along its axes, with a slider.

import { h, significant, failure } from "./dom.js";
import { address, get } from "./api.js";

const AXES = [["z", 0], ["y", 1], ["x", 2]];

export function sliceView() {
  const root = h("div", { class: "slices" });
  const panels = AXES.map(([name, axis]) => {
    const image = h("img", { alt: `Slice across ${name}`, draggable: "false" });
    const slider = h("input", { type: "range", min: 0, value: 0, "aria-label": `Position of the slice along ${name}` });
    const text = h("span", { class: "muted" }, "");
    const panel = { axis, image, slider, text, name, box: h("figure", {}, image, h("figcaption", {}, h("b", {}, name), slider, text)) };
    slider.addEventListener("input", () => show(panel));
    return panel;
  });
  const note = h("p", { class: "muted slices-note" });
  root.append(h("div", { class: "slices-row" }, panels.map((panel) => panel.box)), note);
  let shown = { path: null, stamp: "", facts: null };

  function show(panel) {
    const index = Number(panel.slider.value);
    panel.image.src = address("/api/files/slice", { path: shown.path, axis: panel.axis, index, v: shown.stamp });
    panel.text.textContent = `${index}`;
  }

  root.show = async (path, stamp = "") => {
    if (shown.path === path && shown.stamp === stamp) return;
    const isNew = shown.path === null;
    shown = { path, stamp, facts: null };
    try {
      const facts = await get("/api/files/map", { path });
      if (shown.path !== path) return;
      shown.facts = facts;
      for (const panel of panels) {
        const n = facts.box[panel.axis];
        const old = Number(panel.slider.max) + 1;
        panel.slider.max = n - 1;
        if (isNew || old !== n) panel.slider.value = Math.floor(n / 2);
        show(panel);
      }
      const size = facts.pixel_size ? `, ${significant(facts.pixel_size, 5)} Å per voxel` : "";
      note.textContent = `${facts.box[2]} × ${facts.box[1]} × ${facts.box[0]} voxels${size}. Values ${significant(facts.minimum)} to ${significant(facts.maximum)}, mean ${significant(facts.mean)}, standard deviation ${significant(facts.deviation)}.`;
    } catch (error) {
      root.replaceChildren(failure(error));
    }
  };
  return root;
}
