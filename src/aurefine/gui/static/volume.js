// 3D surfaces of maps: the map is a texture on the graphics card, and each pixel of the picture
// walks along its ray until the value passes the threshold.

import { h, button, significant, busy, failure } from "./dom.js";
import { get, volume as loadVolume } from "./api.js";
import { bar } from "./plot.js";

const VERTEX = `
out vec3 vPosition;
void main() {
  vPosition = position + 0.5;
  gl_Position = projectionMatrix * modelViewMatrix * vec4(position, 1.0);
}`;

const FRAGMENT = `
precision highp float;
precision highp sampler3D;
in vec3 vPosition;
out vec4 color;
uniform sampler3D map;
uniform vec3 eye;
uniform vec3 view;
uniform float threshold;
uniform float steps;
uniform vec3 texel;
uniform vec3 tint;
uniform vec3 light;
uniform bool inverted;

float sampleAt(vec3 p) { float v = texture(map, p).r; return inverted ? -v : v; }

vec3 normalAt(vec3 p) {
  vec3 g = vec3(
    sampleAt(p + vec3(texel.x, 0, 0)) - sampleAt(p - vec3(texel.x, 0, 0)),
    sampleAt(p + vec3(0, texel.y, 0)) - sampleAt(p - vec3(0, texel.y, 0)),
    sampleAt(p + vec3(0, 0, texel.z)) - sampleAt(p - vec3(0, 0, texel.z)));
  return -normalize(g + 1e-9);
}

void main() {
  vec3 direction = normalize(view);
  vec3 inverse = 1.0 / (direction + vec3(equal(direction, vec3(0.0))) * 1e-6);
  vec3 a = (vec3(0.0) - vPosition) * inverse;
  vec3 b = (vec3(1.0) - vPosition) * inverse;
  vec3 last = max(a, b);
  float end = min(last.x, min(last.y, last.z));
  float size = 1.0 / steps;
  float t = 0.0;
  float before = sampleAt(vPosition);
  if (before > threshold) {
    vec3 n = -direction;
    color = vec4(tint * 0.45, 1.0);
    return;
  }
  for (int i = 0; i < 512; i++) {
    t += size;
    if (t > end) break;
    float value = sampleAt(vPosition + direction * t);
    if (value > threshold) {
      float low = t - size;
      float high = t;
      for (int k = 0; k < 6; k++) {
        float middle = 0.5 * (low + high);
        if (sampleAt(vPosition + direction * middle) > threshold) high = middle; else low = middle;
      }
      vec3 p = vPosition + direction * high;
      vec3 n = normalAt(p);
      float facing = max(dot(n, -direction), 0.0);
      float lit = max(dot(n, light), 0.0);
      float shine = pow(max(dot(reflect(direction, n), light), 0.0), 24.0);
      float depth = 1.0 - 0.35 * clamp(dot(p - 0.5, direction) + 0.5, 0.0, 1.0);
      vec3 shade = tint * (0.34 + 0.38 * facing + 0.55 * lit) * depth + vec3(0.12) * shine;
      color = vec4(shade, 1.0);
      return;
    }
  }
  discard;
}`;

const TINTS = { teal: [0.36, 0.66, 0.72], amber: [0.87, 0.66, 0.36], grey: [0.72, 0.74, 0.78] };

let three = null;
async function library() {
  three ??= import("/static/vendor/three.module.min.js");
  return three;
}

function hasGraphics() {
  try { return Boolean(document.createElement("canvas").getContext("webgl2")); } catch { return false; }
}

// A viewer of one map; `linked` viewers turn together.
export function surfaceView(options = {}) {
  const canvas = h("canvas", { class: "surface", tabindex: "0", role: "img", "aria-label": "3D surface; drag or use the arrow keys to turn, + and - to zoom" });
  const stage = h("div", { class: "surface-stage" }, canvas);
  const slider = h("input", { type: "range", min: 0, max: 1000, step: 1, value: 500, "aria-label": "Threshold of the surface" });
  const field = h("input", { type: "text", class: "short", inputmode: "decimal", "aria-label": "Threshold value" });
  const unit = h("span", { class: "muted" }, "");
  const histogram = h("div", { class: "surface-histogram" });
  const invert = h("input", { type: "checkbox" });
  const controls = h("div", { class: "surface-controls" },
    h("label", { class: "grow" }, h("span", {}, "Threshold"), slider), field, unit,
    h("label", { class: "check", title: "Show the surface of the negative map" }, invert, "Inverted"),
    button("Reset", { kind: "small", onclick: () => { state.turn = [0, 0, 0, 1]; state.zoom = 1; redraw(); } }));
  const root = h("div", { class: "surface-view" }, stage, histogram, controls);
  const state = { turn: [0.13, 0.3, 0.04, 0.944], zoom: 1, path: null, request: 0, facts: null, threshold: null };
  let engine = null;
  let frame = 0;
  let rest = 0;
  let isMoving = false;

  // While something moves the picture is coarser; the full one follows when it rests.
  function redraw(tellOthers = true, moves = true) {
    cancelAnimationFrame(frame);
    clearTimeout(rest);
    isMoving = moves;
    frame = requestAnimationFrame(draw);
    if (moves) rest = setTimeout(() => redraw(false, false), 180);
    if (tellOthers) for (const other of options.linked || []) if (other !== root) other.follow(state);
  }

  async function start() {
    const THREE = await library();
    const renderer = new THREE.WebGLRenderer({ canvas, antialias: false, alpha: true, powerPreference: "high-performance" });
    const context = renderer.getContext();
    const card = context.getExtension("WEBGL_debug_renderer_info");
    const name = card ? String(context.getParameter(card.UNMASKED_RENDERER_WEBGL)) : "";
    // without a graphics card each picture takes the processor's time
    const ratio = /swiftshader|llvmpipe|software/i.test(name) ? 0.7 : Math.min(window.devicePixelRatio || 1, 1.5);
    const scene = new THREE.Scene();
    const camera = new THREE.OrthographicCamera(-1, 1, 1, -1, -4, 4);
    camera.position.z = 2;
    const material = new THREE.ShaderMaterial({
      glslVersion: THREE.GLSL3, vertexShader: VERTEX, fragmentShader: FRAGMENT, side: THREE.FrontSide,
      uniforms: {
        map: { value: null }, eye: { value: new THREE.Vector3() }, view: { value: new THREE.Vector3(0, 0, -1) },
        threshold: { value: 1 }, steps: { value: 128 }, texel: { value: new THREE.Vector3(0.01, 0.01, 0.01) },
        tint: { value: new THREE.Vector3(...TINTS[options.tint || "teal"]) }, light: { value: new THREE.Vector3(0, 0, 1) },
        inverted: { value: false },
      },
    });
    const box = new THREE.Mesh(new THREE.BoxGeometry(1, 1, 1), material);
    scene.add(box);
    engine = { THREE, renderer, scene, camera, material, box, ratio, texture: null };
  }

  function draw() {
    if (!engine || !engine.texture || !root.isConnected || !isSeen) return;
    const { THREE, renderer, scene, camera, material, box } = engine;
    const width = stage.clientWidth;
    const height = stage.clientHeight;
    if (width < 2 || height < 2) return;
    renderer.setPixelRatio(isMoving ? 0.5 * engine.ratio : engine.ratio);
    renderer.setSize(width, height, false);
    const span = 0.62 / state.zoom;
    const ratio = width / height;
    camera.left = -span * Math.max(ratio, 1);
    camera.right = span * Math.max(ratio, 1);
    camera.top = span / Math.min(ratio, 1);
    camera.bottom = -span / Math.min(ratio, 1);
    camera.updateProjectionMatrix();
    box.quaternion.set(...state.turn);
    const back = box.quaternion.clone().invert();
    material.uniforms.view.value.set(0, 0, -1).applyQuaternion(back);
    material.uniforms.light.value.set(0.4, 0.55, 0.75).normalize().applyQuaternion(back);
    material.uniforms.threshold.value = state.threshold / engine.scale * (invert.checked ? -1 : 1);
    material.uniforms.inverted.value = invert.checked;
    renderer.render(scene, camera);
    root.dataset.drawn = state.path;
  }

  function setThreshold(value, from) {
    if (!Number.isFinite(value) || !state.facts) return;
    state.threshold = value;
    const { minimum, maximum } = state.facts;
    if (from !== slider) slider.value = String(Math.round((1000 * (value - minimum)) / (maximum - minimum || 1)));
    if (from !== field) field.value = significant(value, 4);
    unit.textContent = state.facts.deviation ? `${significant((value - state.facts.mean) / state.facts.deviation, 3)} σ` : "";
    redraw(false);
  }

  slider.addEventListener("input", () => {
    const { minimum, maximum } = state.facts || { minimum: 0, maximum: 1 };
    setThreshold(minimum + (Number(slider.value) / 1000) * (maximum - minimum), slider);
  });
  field.addEventListener("change", () => setThreshold(Number(field.value), field));
  invert.addEventListener("change", () => redraw(false));

  function turnBy(dx, dy) {
    if (!engine) return;
    const { THREE } = engine;
    const now = new THREE.Quaternion(...state.turn);
    const step = new THREE.Quaternion().setFromEuler(new THREE.Euler(dy * 0.01, dx * 0.01, 0));
    now.premultiply(step).normalize();
    state.turn = [now.x, now.y, now.z, now.w];
    redraw();
  }
  function zoomBy(factor) {
    state.zoom = Math.min(12, Math.max(0.4, state.zoom * factor));
    redraw();
  }
  const fingers = new Map();
  canvas.addEventListener("pointerdown", (event) => {
    fingers.set(event.pointerId, [event.clientX, event.clientY]);
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    const now = [event.clientX, event.clientY];
    if (fingers.size === 1) turnBy(now[0] - before[0], now[1] - before[1]);
    else {
      const other = [...fingers.entries()].find(([id]) => id !== event.pointerId)[1];
      const distance = (p) => Math.hypot(p[0] - other[0], p[1] - other[1]) || 1;
      zoomBy(distance(now) / distance(before));
    }
    fingers.set(event.pointerId, now);
  });
  for (const kind of ["pointerup", "pointercancel"]) canvas.addEventListener(kind, (event) => fingers.delete(event.pointerId));
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && document.activeElement !== canvas) return;
    event.preventDefault();
    zoomBy(Math.exp(-event.deltaY * 0.0015));
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    const turn = { ArrowLeft: [-12, 0], ArrowRight: [12, 0], ArrowUp: [0, -12], ArrowDown: [0, 12] }[event.key];
    if (turn) turnBy(...turn);
    else if (event.key === "+" || event.key === "=") zoomBy(1.15);
    else if (event.key === "-") zoomBy(1 / 1.15);
    else return;
    event.preventDefault();
  });
  new ResizeObserver(() => redraw(false, false)).observe(stage);

  root.follow = (other) => { state.turn = [...other.turn]; state.zoom = other.zoom; redraw(false); };
  root.redraw = () => redraw(false);

  // Show a map; `stamp` changes when the file has changed. The threshold is kept as a multiple of
  // the standard deviation, so that the maps of successive iterations look alike.
  // A view outside the window loads and draws nothing until it is scrolled to.
  let isSeen = false;
  let pending = null;
  new IntersectionObserver((entries) => {
    isSeen = entries.at(-1).isIntersecting;
    if (!isSeen) return;
    if (pending) root.show(...pending);
    else redraw(false, false);
  }, { rootMargin: "100px" }).observe(stage);

  root.show = async (path, stamp = "") => {
    const wanted = `${path}#${stamp}`;
    if (!isSeen) { pending = [path, stamp]; return; }
    pending = null;
    if (state.wanted === wanted) return;
    state.wanted = wanted;
    const request = ++state.request;
    if (!hasGraphics()) {
      stage.replaceChildren(h("div", { class: "notice" }, "This browser has no WebGL 2, which the 3D view needs. The slices work without it."));
      return;
    }
    const waiting = busy("Loading the map…");
    if (!engine?.texture) stage.append(waiting);
    try {
      const [facts, data] = await Promise.all([get("/api/files/map", { path }), loadVolume(path), engine ? null : start()]);
      if (request !== state.request) return;
      const { THREE, material, box } = engine;
      engine.texture?.dispose();
      const [nz, ny, nx] = data.shape;
      const texture = new THREE.Data3DTexture(data.values, nx, ny, nz);
      texture.format = THREE.RedFormat;
      texture.type = THREE.HalfFloatType;
      texture.minFilter = texture.magFilter = THREE.LinearFilter;
      texture.unpackAlignment = 1;
      texture.needsUpdate = true;
      engine.texture = texture;
      engine.scale = data.scale;
      material.uniforms.map.value = texture;
      material.uniforms.texel.value.set(1 / nx, 1 / ny, 1 / nz);
      material.uniforms.steps.value = Math.min(320, 2.2 * Math.max(nx, ny, nz));
      const longest = Math.max(nx, ny, nz);
      box.scale.set(nx / longest, ny / longest, nz / longest);
      const kept = state.facts && state.sigmas !== undefined && state.touched;
      state.path = path;
      state.facts = facts;
      histogram.replaceChildren(bar(facts.histogram, { label: "Histogram of the voxel values" }));
      setThreshold(kept ? facts.mean + state.sigmas * facts.deviation : facts.threshold);
      redraw(false, false);
    } catch (error) {
      if (request === state.request) stage.append(failure(error));
    } finally {
      waiting.remove();
    }
  };
  for (const input of [slider, field]) {
    input.addEventListener("input", () => { state.touched = true; });
    input.addEventListener("change", () => {
      state.touched = true;
      if (state.facts?.deviation) state.sigmas = (state.threshold - state.facts.mean) / state.facts.deviation;
    });
  }
  root.release = () => { engine?.texture?.dispose(); engine?.renderer.dispose(); engine?.renderer.forceContextLoss(); engine = null; };
  return root;
}
