// The end of run.out and run.err, following the files.

import { h, clear, bytes, oneAtATime } from "./dom.js";
import { address, get, news } from "./api.js";

export function logView(job, options = {}) {
  const text = h("pre", { class: "log", tabindex: "0", "aria-label": "Log", style: { height: options.height ? `${options.height}px` : "" } });
  const note = h("span", { class: "muted" });
  const tabs = h("div", { class: "segments", role: "tablist", "aria-label": "Log file" });
  const root = h("div", { class: "log-view" }, h("div", { class: "bar" }, tabs, note, h("span", { class: "grow" }),
    h("a", { class: "button small", download: "", href: "#" }, "Download")), text);
  let file = options.file || "run.out";

  function choose(name) {
    file = name;
    clear(tabs, ["run.out", "run.err", "note.txt"].map((other) => h("button", { type: "button", role: "tab", "aria-selected": other === file, onclick: () => choose(other) }, other)));
    show();
  }

  const show = oneAtATime(async () => {
    const path = `${job}${file}`;
    root.querySelector("a").href = address("/api/files/download", { path });
    const isAtEnd = text.scrollHeight - text.scrollTop - text.clientHeight < 40 || !text.textContent;
    try {
      const found = await get("/api/files/text", { path, bytes: 131072 });
      text.textContent = found.text.trim() ? found.text : "(empty)";
      note.textContent = found.is_whole ? bytes(found.size) : `last part of ${bytes(found.size)}`;
    } catch (error) {
      text.textContent = error.status === 404 ? "Not written yet." : error.message;
      note.textContent = "";
    }
    if (isAtEnd) text.scrollTop = text.scrollHeight;
  });

  const off = news.on("files", (data) => { if (data.changed.includes(file)) show(); });
  root.release = off;
  choose(file);
  return root;
}
