// One job: state, actions, live view or results, files, log, settings.

import { h, clear, button, moment, duration, icon, failure, busy, empty, toast, confirmDialog, dialog, number } from "./dom.js";
import { address, get, post, news } from "./api.js";
import { refinementView, card } from "./refinement.js";
import { resultsView } from "./results.js";
import { fileList } from "./files.js";
import { logView } from "./log.js";
import { askText } from "./form.js";

export const STATES = { Running: "running", Scheduled: "scheduled", Succeeded: "finished", Failed: "failed", Aborted: "aborted" };

export function stateBadge(status) {
  return h("span", { class: `badge ${status.toLowerCase()}` }, STATES[status] || status);
}

export function jobTitle(job) {
  return job.alias || `job${String(job.number).padStart(3, "0")}`;
}

export function jobView(job, types, start, actions) {
  const root = h("div", { class: "page job-page" });
  const head = h("div", { class: "page-head" });
  const tabs = h("div", { class: "tabs", role: "tablist", "aria-label": "Views of the job" });
  const panel = h("div", { class: "tab-panel", role: "tabpanel" });
  let tab = start || "overview";
  let shown = null;
  const type = types.find((other) => other.label === job.base_type);
  const names = { overview: job.kind === "Refine3D" ? "Refinement" : "Results", files: "Files", log: "Log", settings: "Settings" };

  function spent() {
    const times = [""];
    if (job.started) times.push(`started ${moment(job.started)}`);
    if (job.finished && job.started) times.push(`took ${duration(job.finished - job.started)}`);
    else if (job.status === "Running" && job.started) times.push(`for ${duration(Date.now() / 1000 - job.started)}`);
    return times.join(" · ");
  }

  function showHead() {
    const can = (name) => job.actions.includes(name);
    clear(head,
      h("div", { class: "grow" },
        h("p", { class: "eyebrow" }, job.type_title),
        h("h1", {}, jobTitle(job), stateBadge(job.status)),
        h("p", { class: "muted" }, h("span", { class: "path" }, job.name), h("span", { class: "times" }, spent()))),
      h("div", { class: "bar actions wrap" },
        can("run") && button("Run", { icon: "play", kind: "primary", onclick: () => act("/api/job/run", {}, "Started.") }),
        can("abort") && button("Abort", { icon: "stop", kind: "danger", onclick: abort }),
        can("mark") && button("Mark", { icon: "check", title: "Say how a job has ended whose process is gone", onclick: mark }),
        can("continue") && button("Continue", { icon: "play", onclick: () => actions.continueJob(job) }),
        can("clone") && button("Clone", { icon: "copy", title: "A new job with the same settings", onclick: () => actions.clone(job) }),
        can("alias") && button("Alias", { icon: "tag", onclick: alias }),
        can("report") && button("Report", { icon: "report", onclick: report }),
        button("Compare", { icon: "compare", onclick: () => actions.compare(job) }),
        can("delete") && button("Delete", { icon: "trash", kind: "quiet", onclick: remove })));
  }

  async function act(path, more, done) {
    try {
      const data = await post(path, { job: job.name, ...more });
      if (done) toast(data.warning ? `${done} ${data.warning}` : done);
      await actions.reload();
      return data;
    } catch (error) {
      toast(error.message, "bad");
      return null;
    }
  }

  async function abort() {
    if (await confirmDialog("Abort this job?", `${job.name} stops at the next particle or micrograph. A refinement can be continued later.`, "Abort")) await act("/api/job/abort", {}, "The job has been asked to stop.");
  }
  async function mark() {
    const status = await dialog("Mark this job", (body, foot, close) => {
      body.append(h("p", {}, `${job.name} counts as running. If its process is gone, for instance after a crash of its computer, say how it has ended. A refinement marked as finished keeps the files of its last iteration as results.`));
      foot.append(button("Cancel", { onclick: () => close() }), button("Failed", { onclick: () => close("Failed") }), button("Finished", { kind: "primary", onclick: () => close("Succeeded") }));
    });
    if (status) await act("/api/job/mark", { status }, "Marked.");
  }
  async function alias() {
    const name = await askText("Alias", "Name of the job; empty removes the alias", job.alias, "Set alias");
    if (name !== undefined) await act("/api/job/alias", { alias: name }, name ? "Alias set." : "Alias removed.");
  }
  async function remove() {
    const users = job.used_by.length ? ` Its files are used by ${job.used_by.map((name) => name.replace(/\/$/, "")).join(", ")}.` : "";
    if (await confirmDialog("Move this job to the trash?", `${job.name} goes to the folder Trash of the project, from where it can be taken back.${users}`, "Delete")) {
      if (await act("/api/job/delete", {}, "Moved to the trash.")) location.hash = "#/";
    }
  }
  async function report() {
    const tabWindow = window.open("", "_blank");
    const data = await act("/api/job/report", {}, "");
    if (data && tabWindow) tabWindow.location = address("/api/files/show", { path: data.path });
    else tabWindow?.close();
    if (data) toast(`Report written: ${data.path}`);
  }

  function showTabs() {
    clear(tabs, Object.entries(names).map(([key, label]) => h("button", { type: "button", role: "tab", "aria-selected": key === tab, onclick: () => { tab = key; history.replaceState(null, "", `#/job/${job.name.replace(/\/$/, "")}/${key}`); showTabs(); showPanel(); } }, label)));
  }

  function showPanel() {
    shown?.release?.();
    if (tab === "overview") shown = job.kind === "Refine3D" && job.status !== "Scheduled" ? refinementView(job) : resultsView(job);
    else if (tab === "files") shown = fileList(job.name);
    else if (tab === "log") shown = logView(job.name);
    else shown = settingsView(job, type);
    clear(panel, shown);
  }

  root.append(head, tabs, panel);
  showHead();
  showTabs();
  showPanel();
  root.update = (next) => {
    const wasRunning = job.status;
    job = next;
    showHead();
    if (shown?.update) shown.update(job);
    if (wasRunning !== job.status && !shown?.update) showPanel();
  };
  const clock = setInterval(() => { const text = head.querySelector(".times"); if (text) text.textContent = spent(); }, 1000);
  root.release = () => { clearInterval(clock); shown?.release?.(); };
  root.jobName = job.name;
  return root;
}

export function settingsView(job, type) {
  const root = h("div", { class: "tab-panel" }, busy());
  get("/api/job/settings", { job: job.name }).then((data) => {
    const files = (title, nodes) => nodes.length > 0 && h("div", {}, h("h4", {}, title), h("ul", { class: "plain-list" }, nodes.map((node) => h("li", {}, h("a", { href: `#/file/${encodeURIComponent(node.path)}` }, node.path), node.exists ? "" : h("span", { class: "muted" }, " (not there)")))));
    const tabs = data.problem ? null : type ? type.tabs.map((group) => h("div", { class: "settings-group" }, h("h4", {}, group.title), h("dl", { class: "facts" }, group.fields.map((field) => {
      const value = data.values[field.key] ?? field.default;
      const isChanged = value !== field.default;
      return [h("dt", {}, field.label), h("dd", { class: isChanged ? "changed" : "" }, value === "" ? "–" : value)];
    })))) : h("dl", { class: "facts" }, Object.entries(data.values).map(([key, value]) => [h("dt", {}, key), h("dd", {}, value || "–")]));
    clear(root,
      data.problem && h("div", { class: "notice warn" }, data.problem),
      card("Command", h("pre", { class: "command", tabindex: "0" }, data.commands.join("\n") || "Not started yet."), { class: "full" }),
      h("div", { class: "grid" },
        card("Files", h("div", {}, files("Input", data.inputs) || h("p", { class: "muted" }, "No input files of the project."), files("Output", data.outputs))),
        card("Settings", h("div", { class: "settings" }, h("p", { class: "muted" }, data.problem ? "Not known." : "Values that differ from the default are bold."), tabs), { class: "wide" })));
  }, (error) => clear(root, failure(error)));
  return root;
}

export { empty, number, icon, news };
