// Files of a job, and viewers of the kinds that can be shown.

import { h, clear, button, bytes, moment, icon, failure, busy, empty } from "./dom.js";
import { address, get } from "./api.js";
import { starTable } from "./startable.js";
import { particleView } from "./particles.js";
import { surfaceView } from "./volume.js";
import { sliceView } from "./slices.js";

export function viewerOf(path) {
  const name = path.toLowerCase();
  if (name.endsWith(".star")) return "star";
  if (name.endsWith(".mrc") || name.endsWith(".map")) return "map";
  if (name.endsWith(".png")) return "image";
  if (/\.(out|err|txt|log|dat|xml|json|script|bild|toml|md)$/.test(name) || !name.split("/").pop().includes(".")) return "text";
  if (name.endsWith(".html") || name.endsWith(".pdf")) return "window";
  return "";
}

export const fileLink = (path) => `#/file/${encodeURIComponent(path)}`;

export function fileView(path) {
  const kind = viewerOf(path);
  const head = h("div", { class: "page-head" }, h("div", { class: "grow" }, h("h1", {}, path.split("/").pop()), h("p", { class: "muted path" }, path)),
    h("a", { class: "button", href: address("/api/files/download", { path }), download: "" }, icon("download"), h("span", {}, "Download")));
  const body = h("div", { class: "file-body" });
  const root = h("div", { class: "page" }, head, body);
  if (kind === "star") {
    const tabs = h("div", { class: "segments", role: "tablist", "aria-label": "View" });
    const holder = h("div", {});
    const show = (which) => {
      clear(tabs, [["table", "Table"], ["particles", "Particles"]].map(([key, label]) => h("button", { type: "button", role: "tab", "aria-selected": key === which, onclick: () => show(key) }, label)));
      clear(holder, which === "table" ? starTable(path) : particleView(path));
    };
    body.append(holder);
    show("table");
    get("/api/files/blocks", { path }).then((data) => {
      if (data.blocks.some((block) => block.labels.includes("rlnImageName"))) body.prepend(h("div", { class: "bar" }, tabs));
    }, () => {});
  } else if (kind === "map") {
    const surface = surfaceView();
    const slices = sliceView();
    body.append(h("div", { class: "grid maps" }, h("section", { class: "card" }, h("div", { class: "card-head" }, h("h3", {}, "3D surface")), surface),
      h("section", { class: "card" }, h("div", { class: "card-head" }, h("h3", {}, "Slices")), slices)));
    surface.show(path);
    slices.show(path);
    root.release = () => surface.release();
  } else if (kind === "image") {
    body.append(h("img", { class: "picture", src: address("/api/files/show", { path }), alt: path.split("/").pop() }));
  } else if (kind === "text") {
    body.append(busy());
    get("/api/files/text", { path, bytes: 1 << 20 }).then((data) => clear(body, !data.is_whole && h("div", { class: "notice" }, `The last part of ${bytes(data.size)}.`), h("pre", { class: "log tall", tabindex: "0" }, data.text)), (error) => clear(body, failure(error)));
  } else if (kind === "window") {
    body.append(h("a", { class: "button primary", href: address("/api/files/show", { path }), target: "_blank", rel: "noopener" }, "Open in a new tab"));
  } else {
    body.append(empty("No viewer for this kind of file", "It can be downloaded."));
  }
  return root;
}

export function fileList(start) {
  const root = h("div", { class: "file-list" }, busy());
  async function open(path) {
    let data;
    try { data = await get("/api/files/entries", { path }); } catch (error) { clear(root, failure(error)); return; }
    const parts = path ? path.replace(/\/$/, "").split("/") : [];
    clear(root, h("div", { class: "crumbs" }, h("button", { type: "button", onclick: () => open("") }, "Project"),
      parts.map((part, index) => ["/", h("button", { type: "button", onclick: () => open(parts.slice(0, index + 1).join("/")) }, part)])),
      data.entries.length === 0 && empty("The folder is empty"),
      data.total > data.entries.length && h("div", { class: "notice" }, `The first ${data.entries.length} of ${data.total} names.`),
      h("div", { class: "file-rows" }, data.entries.map((entry) => {
        const full = path ? `${path.replace(/\/$/, "")}/${entry.name}` : entry.name;
        const name = h("span", { class: "file-name" }, icon(entry.kind === "folder" ? "folder" : { star: "table", map: "map", image: "image" }[viewerOf(entry.name)] || "file"), entry.name);
        const cells = [h("span", { class: "muted" }, entry.kind === "folder" ? "" : bytes(entry.size)), h("span", { class: "muted" }, moment(entry.modified))];
        if (entry.kind === "folder") return h("button", { type: "button", class: "file-row", onclick: () => open(full) }, name, cells);
        if (!entry.usable) return h("div", { class: "file-row faint", title: "Outside the project, or not a plain file" }, name, cells);
        return h("a", { class: "file-row", href: fileLink(full) }, name, cells);
      })));
  }
  open(start);
  return root;
}

export { button };
