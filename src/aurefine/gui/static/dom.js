// Elements are built node by node: no text from a file is ever parsed as HTML.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith("aria-") && typeof value === "boolean") element.setAttribute(name, String(value));
    else if (value === undefined || value === null || value === false) continue;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.setAttribute("class", value);
    else if (name === "style") Object.assign(element.style, value);
    else if (name === "value") element.value = value;
    else if (value === true) element.setAttribute(name, "");
    else element.setAttribute(name, String(value));
  }
  append(element, children);
  return element;
}

function append(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === undefined || child === null || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
}

export function h(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function s(tag, attributes, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

export function clear(element, ...children) {
  element.replaceChildren();
  append(element, children);
  return element;
}

const PATHS = {
  plus: "M8 3v10M3 8h10",
  folder: "M2 4.5h4l1.5 2H14v6.5H2z",
  file: "M4 2h5l3 3v9H4zM9 2v3h3",
  play: "M5 3l8 5-8 5z",
  clock: "M8 2a6 6 0 100 12A6 6 0 008 2zM8 5v3.2l2.2 1.4",
  stop: "M4 4h8v8H4z",
  copy: "M5 5h8v8H5zM3 11V3h8",
  tag: "M2 2h6l6 6-6 6-6-6zM5 5h.01",
  trash: "M3 4.5h10M6 4.5V3h4v1.5M4.5 4.5l.6 9h5.8l.6-9",
  report: "M3 13V3h10v10zM5.5 10.5v-3M8 10.5v-5M10.5 10.5v-2",
  compare: "M2 3h5v10H2zM9 3h5v10H9z",
  flow: "M2 6h4v4H2zM10 2h4v4h-4zM10 10h4v4h-4zM6 8h2M8 4v8M8 4h2M8 12h2",
  menu: "M2 4h12M2 8h12M2 12h12",
  close: "M4 4l8 8M12 4l-8 8",
  help: "M6 6.2a2 2 0 113 1.7c-.7.4-1 .8-1 1.6M8 11.8h.01",
  sun: "M8 5.2a2.8 2.8 0 100 5.6 2.8 2.8 0 000-5.6zM8 1.5v1.6M8 12.9v1.6M1.5 8h1.6M12.9 8h1.6M3.4 3.4l1.1 1.1M11.5 11.5l1.1 1.1M12.6 3.4l-1.1 1.1M4.5 11.5l-1.1 1.1",
  moon: "M13 9.5A5.5 5.5 0 016.5 3a5.5 5.5 0 106.5 6.5z",
  download: "M8 2.5v7M5 7l3 3 3-3M3 13h10",
  up: "M8 13V4M4.5 7.5L8 4l3.5 3.5",
  check: "M3.5 8.5l3 3 6-7",
  cross: "M4.5 4.5l7 7M11.5 4.5l-7 7",
  more: "M3.5 8h.01M8 8h.01M12.5 8h.01",
  map: "M8 1.8l5.5 3.1v6.2L8 14.2l-5.5-3.1V4.9zM8 8v6.2M8 8l5.5-3.1M8 8L2.5 4.9",
  table: "M2.5 3h11v10h-11zM2.5 6.4h11M2.5 9.7h11M6.2 3v10",
  image: "M2.5 3h11v10h-11zM4.5 11l2.6-3.4 2 2.2 1.3-1.6 1.8 2.8",
};

export function icon(name, size = 16) {
  return s("svg", { class: "icon", viewBox: "0 0 16 16", width: size, height: size, "aria-hidden": "true" },
    s("path", { d: PATHS[name] }));
}

export function button(label, options = {}) {
  const { icon: symbol, kind = "", onclick, title, disabled, ...rest } = options;
  return h("button", { type: "button", class: `button ${kind}`, onclick, title, disabled, ...rest },
    symbol && icon(symbol), label && h("span", {}, label));
}

export function iconButton(symbol, label, onclick, rest = {}) {
  return h("button", { type: "button", class: "icon-button", "aria-label": label, title: label, onclick, ...rest },
    icon(symbol));
}

let toastTimer = 0;
export function toast(text, kind = "") {
  const box = document.getElementById("toasts");
  const item = h("div", { class: `toast ${kind}` }, h("span", {}, text),
    iconButton("close", "Close", () => item.remove()));
  box.append(item);
  clearTimeout(toastTimer);
  if (kind !== "bad") setTimeout(() => item.remove(), 6000);
  while (box.children.length > 4) box.firstChild.remove();
}

// A modal dialog with a title; the promise gives what `close` was called with.
export function dialog(title, build, options = {}) {
  return new Promise((resolve) => {
    const box = h("dialog", { class: `dialog ${options.kind || ""}`, "aria-labelledby": "dialog-title" });
    let answer;
    const close = (value) => { answer = value; box.close(); };
    const body = h("div", { class: "dialog-body" });
    const foot = h("div", { class: "dialog-foot" });
    append(box, [
      h("div", { class: "dialog-head" }, h("h2", { id: "dialog-title" }, title),
        iconButton("close", "Close", () => close())),
      body, foot]);
    build(body, foot, close);
    box.addEventListener("close", () => { box.remove(); resolve(answer); });
    box.addEventListener("click", (event) => { if (event.target === box) close(); });
    document.body.append(box);
    box.showModal();
  });
}

export function confirmDialog(title, text, action, kind = "danger") {
  return dialog(title, (body, foot, close) => {
    append(body, [h("p", {}, text)]);
    append(foot, [button("Cancel", { onclick: () => close(false) }),
      button(action, { kind, onclick: () => close(true), autofocus: true })]);
  });
}

export function empty(title, text, ...more) {
  return h("div", { class: "empty" }, h("h3", {}, title), text && h("p", {}, text), more);
}

export function failure(error) {
  return h("div", { class: "notice bad", role: "alert" }, String(error.message || error));
}

export function busy(text = "Loading…") {
  return h("div", { class: "busy" }, h("span", { class: "spinner", "aria-hidden": "true" }), text);
}

export function debounce(call, wait) {
  let timer = 0;
  return (...values) => { clearTimeout(timer); timer = setTimeout(() => call(...values), wait); };
}

// Run one call at a time; calls during a run lead to one more run after it.
export function oneAtATime(call) {
  let isRunning = false;
  let isWanted = false;
  return async () => {
    isWanted = true;
    if (isRunning) return;
    isRunning = true;
    while (isWanted) {
      isWanted = false;
      await call();
    }
    isRunning = false;
  };
}

export function number(value, digits = 2) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  return value.toFixed(digits);
}

export function significant(value, digits = 3) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  if (value !== 0 && (Math.abs(value) < 1e-3 || Math.abs(value) >= 1e6)) return value.toExponential(digits - 1);
  return String(Number(value.toPrecision(digits)));
}

export function bytes(n) {
  if (n < 1000) return `${n} B`;
  for (const unit of ["kB", "MB", "GB", "TB"]) {
    n /= 1000;
    if (n < 1000 || unit === "TB") return `${n < 10 ? n.toFixed(1) : Math.round(n)} ${unit}`;
  }
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "–";
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 90) return `${whole} s`;
  const minutes = Math.round(whole / 60);
  if (minutes < 90) return `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}

export function moment(seconds) {
  if (!seconds) return "–";
  const date = new Date(seconds * 1000);
  const time = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  if (date.toDateString() === new Date().toDateString()) return time;
  return `${date.toLocaleDateString([], { day: "numeric", month: "short", year: "numeric" })}, ${time}`;
}

export function count(n) {
  return n.toLocaleString("en").replaceAll(",", "\u202f");
}
