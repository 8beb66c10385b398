// Browse dialog: output files of the project's jobs first, then the folders.

import { h, clear, dialog, button, bytes, moment, icon, failure, empty, busy } from "./dom.js";
import { get } from "./api.js";

function matches(name, patterns) {
  if (!patterns.length) return true;
  return patterns.some((pattern) => {
    const expression = pattern.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&")).join(".*");
    return new RegExp(`^${expression}$`, "i").test(name);
  });
}

// option: { label, kinds, patterns }; gives the chosen path.
export function browse(option, value) {
  return dialog(`Browse: ${option.label}`, (body, foot, close) => {
    const filter = h("input", { type: "search", placeholder: "Filter by name", "aria-label": "Filter by name", autofocus: true });
    const all = h("input", { type: "checkbox" });
    const outputs = h("div", { class: "browse-list" }, busy());
    const files = h("div", { class: "browse-list" });
    const crumbs = h("div", { class: "crumbs" });
    const patterns = option.patterns || [];
    let nodes = [];
    let folder = { path: "", entries: [] };
    let chosen = null;
    const take = button("Choose", { kind: "primary", disabled: true, onclick: () => close(chosen) });

    function choose(path, row) {
      chosen = path;
      take.disabled = false;
      for (const other of body.querySelectorAll(".browse-row.chosen")) other.classList.remove("chosen");
      row.classList.add("chosen");
    }
    function row(symbol, title, note, detail, act, path) {
      const item = h("button", { type: "button", class: "browse-row", onclick: () => act(item), ondblclick: () => path && close(path) },
        icon(symbol), h("span", { class: "browse-name" }, title), h("span", { class: "muted" }, note), h("span", { class: "muted browse-size" }, detail));
      return item;
    }
    function showNodes() {
      const wanted = filter.value.toLowerCase();
      const found = nodes.filter((node) => node.shown.toLowerCase().includes(wanted) || node.path.toLowerCase().includes(wanted));
      clear(outputs, found.length ? found.map((node) => {
        const item = row("file", node.shown, node.kind, node.exists ? "" : "not written yet", (element) => choose(node.shown, element), node.shown);
        if (!node.exists) item.classList.add("faint");
        return item;
      }) : empty("No output of a job fits", nodes.length ? "Change the filter." : "Files can be chosen from the folders below."));
    }
    function showFiles() {
      const wanted = filter.value.toLowerCase();
      const parts = folder.path ? folder.path.split("/") : [];
      clear(crumbs, h("button", { type: "button", onclick: () => open("") }, "Project"),
        parts.map((part, index) => ["/", h("button", { type: "button", onclick: () => open(parts.slice(0, index + 1).join("/")) }, part)]));
      const fits = (entry) => entry.kind === "folder" || (entry.usable && (all.checked || matches(entry.name, patterns)));
      const found = folder.entries.filter((entry) => fits(entry) && entry.name.toLowerCase().includes(wanted));
      clear(files, found.length ? found.map((entry) => {
        const path = folder.path ? `${folder.path}/${entry.name}` : entry.name;
        return entry.kind === "folder"
          ? row("folder", entry.name, "", "", () => open(path))
          : row("file", entry.name, moment(entry.modified), bytes(entry.size), (element) => choose(path, element), path);
      }) : empty("Nothing here", patterns.length && !all.checked ? `No file fits ${patterns.join(", ")}.` : ""));
    }
    async function open(path) {
      try { folder = await get("/api/files/entries", { path }); showFiles(); } catch (error) { clear(files, failure(error)); }
    }
    filter.addEventListener("input", () => { showNodes(); showFiles(); });
    all.addEventListener("change", showFiles);
    body.classList.add("browse");
    body.append(h("div", { class: "bar" }, filter, patterns.length > 0 && h("label", { class: "check" }, all, `All files (else ${patterns.join(", ")})`)),
      h("h3", {}, "Outputs of jobs"), outputs, h("h3", {}, "Folders"), crumbs, files);
    foot.append(button("Cancel", { onclick: () => close() }), take);
    get("/api/nodes", { kinds: (option.kinds || []).join(",") }).then((data) => { nodes = data.nodes; showNodes(); }, (error) => clear(outputs, failure(error)));
    const start = value && value.includes("/") ? value.slice(0, value.lastIndexOf("/")) : "";
    get("/api/files/entries", { path: start }).then((data) => { folder = data; showFiles(); }, () => open(""));
  }, { kind: "wide" });
}
