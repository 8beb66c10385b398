// Orientation distribution: Mollweide map and a sphere that can be turned. Both have equal areas.

import { h, s, number } from "./dom.js";

const VIRIDIS = [[68, 1, 84], [72, 40, 120], [62, 74, 137], [49, 104, 142], [38, 130, 142], [31, 158, 137], [53, 183, 121], [109, 205, 89], [180, 222, 44], [253, 231, 37]];

function colorTable() {
  const table = new Uint8Array(256 * 3);
  for (let i = 0; i < 256; i++) {
    const place = (i / 255) * (VIRIDIS.length - 1);
    const index = Math.min(Math.floor(place), VIRIDIS.length - 2);
    for (let c = 0; c < 3; c++) table[3 * i + c] = VIRIDIS[index][c] + (VIRIDIS[index + 1][c] - VIRIDIS[index][c]) * (place - index);
  }
  return table;
}
const COLORS = colorTable();

function binAt(counts, sine, longitude) {
  const rows = counts.length;
  const columns = counts[0].length;
  const row = Math.min(rows - 1, Math.max(0, Math.floor(((sine + 1) / 2) * rows)));
  const column = Math.min(columns - 1, Math.max(0, Math.floor(((longitude + Math.PI) / (2 * Math.PI)) * columns)));
  return counts[row][column];
}

function paint(canvas, width, height, valueAt, top) {
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const found = valueAt(x, y);
      if (!found) continue;
      const color = Math.min(255, Math.round((found.value / top) * 255)) * 3;
      const place = 4 * (y * width + x);
      for (let c = 0; c < 3; c++) image.data[place + c] = COLORS[color + c] * found.light;
      image.data[place + 3] = 255 * found.alpha;
    }
  }
  context.putImageData(image, 0, 0);
}

export function mollweide() {
  const canvas = h("canvas", { class: "mollweide", role: "img" });
  canvas.update = (counts) => {
    const top = Math.max(...counts.flat(), 1e-9);
    const width = 480;
    const height = 240;
    canvas.setAttribute("aria-label", `Mollweide map of viewing directions; the fullest bin has ${number(top, 1)} particles`);
    paint(canvas, width, height, (px, py) => {
      const x = ((px + 0.5) / width) * 2 - 1;
      const y = 1 - ((py + 0.5) / height) * 2;
      const edge = 1 - (x * x + y * y);
      if (edge < 0) return null;
      const theta = Math.asin(y);
      const sine = (2 * theta + Math.sin(2 * theta)) / Math.PI;
      const longitude = (Math.PI * x) / Math.cos(theta);
      return { value: binAt(counts, sine, longitude), light: 1, alpha: Math.min(1, edge * 60) };
    }, top);
  };
  return canvas;
}

export function sphere() {
  const canvas = h("canvas", { class: "sphere", role: "img", tabindex: "0", "aria-label": "Viewing directions on a sphere; drag or use the arrow keys to turn it" });
  let counts = null;
  let turn = [0.5, 0.5];
  const draw = () => {
    if (!counts) return;
    const top = Math.max(...counts.flat(), 1e-9);
    const size = 240;
    const [cosA, sinA, cosB, sinB] = [Math.cos(turn[0]), Math.sin(turn[0]), Math.cos(turn[1]), Math.sin(turn[1])];
    paint(canvas, size, size, (px, py) => {
      const x = ((px + 0.5) / size) * 2 - 1;
      const y = 1 - ((py + 0.5) / size) * 2;
      const rest = 1 - x * x - y * y;
      if (rest < 0) return null;
      const z = Math.sqrt(rest);
      const height = y * cosB + z * sinB;
      const depth = z * cosB - y * sinB;
      const longitude = Math.atan2(x * cosA + depth * sinA, depth * cosA - x * sinA);
      return { value: binAt(counts, height, longitude), light: 0.55 + 0.45 * z, alpha: Math.min(1, rest * 30) };
    }, top);
  };
  let frame = 0;
  const later = () => { cancelAnimationFrame(frame); frame = requestAnimationFrame(draw); };
  canvas.addEventListener("pointerdown", (event) => canvas.setPointerCapture(event.pointerId));
  canvas.addEventListener("pointermove", (event) => {
    if (!canvas.hasPointerCapture(event.pointerId)) return;
    turn = [turn[0] - event.movementX * 0.012, Math.min(1.57, Math.max(-1.57, turn[1] + event.movementY * 0.012))];
    later();
  });
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [0.15, 0], ArrowRight: [-0.15, 0], ArrowUp: [0, -0.15], ArrowDown: [0, 0.15] }[event.key];
    if (!step) return;
    event.preventDefault();
    turn = [turn[0] + step[0], Math.min(1.57, Math.max(-1.57, turn[1] + step[1]))];
    later();
  });
  canvas.update = (next) => { counts = next; draw(); };
  return canvas;
}

export function colorScale(top) {
  const stops = VIRIDIS.map((color, index) => s("stop", { offset: index / (VIRIDIS.length - 1), "stop-color": `rgb(${color.join(",")})` }));
  return h("div", { class: "color-scale" }, h("span", {}, "0"),
    s("svg", { width: 120, height: 8, "aria-hidden": "true" }, s("defs", {}, s("linearGradient", { id: "viridis" }, stops)),
      s("rect", { width: 120, height: 8, rx: 2, fill: "url(#viridis)" })),
    h("span", {}, `${number(top, 1)} particles per bin`));
}
