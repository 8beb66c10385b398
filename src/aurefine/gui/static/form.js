// The form of a job: RELION's tabs, labels and defaults; checked while it is typed.

import { h, clear, button, iconButton, debounce, failure, busy, toast, dialog, icon } from "./dom.js";
import { get, post } from "./api.js";
import { browse } from "./browse.js";

function enabled(field, values, isContinue) {
  if (isContinue && field.continues === "new") return false;
  if (!isContinue && field.continues === "continued") return false;
  return field.needs.split(" ").filter(Boolean).every((need) => (need.startsWith("!") ? values[need.slice(1)] !== "Yes" : values[need] === "Yes"));
}

// mode: "new" or "continue" (of `job`); `from` gives the job whose settings are the start.
export function jobForm({ type, job, from, mode = "new", onDone }) {
  const root = h("div", { class: "page form-page" }, busy());
  const isContinue = mode === "continue";
  let values = {};
  let typed = new Set();
  let problems = [];
  let rows = new Map();
  let tab = null;
  let parts = null;

  async function start() {
    let data;
    try { data = await get("/api/form", { type: type.name, from: from || job || undefined, continue: isContinue ? "1" : undefined }); } catch (error) { clear(root, failure(error)); return; }
    values = data.values;
    build();
    check();
  }

  function build() {
    const tabs = h("div", { class: "tabs", role: "tablist", "aria-label": "Groups of options" });
    const panel = h("div", { class: "fields", role: "tabpanel" });
    const command = h("pre", { class: "command", tabindex: "0", "aria-label": "Command", "aria-live": "off" });
    const issues = h("div", { class: "form-issues", role: "status" });
    const alias = h("input", { type: "text", id: "alias", placeholder: "optional, e.g. first3dref", maxlength: 200, autocomplete: "off", spellcheck: "false" });
    const run = button(isContinue ? "Continue" : "Run", { icon: "play", kind: "primary", onclick: () => submit("run") });
    const schedule = !isContinue && button("Schedule", { icon: "clock", title: "Set the job up; it starts by itself when the jobs that make its input have finished", onclick: () => submit("schedule") });
    parts = { tabs, panel, command, issues, run, schedule, alias };
    tab = tab || type.tabs[0].title;
    clear(root,
      h("div", { class: "page-head" }, h("div", { class: "grow" },
        h("h1", {}, isContinue ? `Continue ${job.replace(/\/$/, "")}` : type.title),
        h("p", { class: "muted" }, from ? `Settings copied from ${from.replace(/\/$/, "")}. ${type.summary}` : type.summary))),
      tabs, panel,
      h("div", { class: "form-foot" },
        h("div", { class: "command-box" }, h("div", { class: "bar" }, h("h3", {}, "Command"), h("span", { class: "grow" }),
          iconButton("copy", "Copy the command", () => navigator.clipboard?.writeText(command.textContent).then(() => toast("Copied.")))), command),
        issues,
        h("div", { class: "bar actions" }, !isContinue && h("label", { class: "inline", for: "alias" }, "Alias"), !isContinue && alias,
          h("span", { class: "grow" }), schedule, run)));
    showTab(tab);
  }

  function showTab(name) {
    tab = name;
    const wrong = (group) => group.fields.some((field) => problems.some((p) => p.key === field.key && p.is_error && typed.has(p.key)));
    clear(parts.tabs, type.tabs.map((group) => h("button", {
      type: "button", role: "tab", "aria-selected": group.title === name, class: wrong(group) ? "wrong" : "",
      onclick: () => showTab(group.title),
    }, group.title)));
    rows = new Map();
    const group = type.tabs.find((other) => other.title === name);
    clear(parts.panel, group.note && h("p", { class: "muted fields-note" }, group.note), group.fields.map(row));
    refresh();
  }

  function set(key, value) {
    values[key] = value;
    typed.add(key);
    refresh();
    check();
  }

  function row(field) {
    const id = `field-${field.key}`;
    const describedBy = `${id}-help ${id}-problem`;
    const common = { id, "aria-describedby": describedBy, autocomplete: "off", spellcheck: "false" };
    let control;
    let extra = null;
    const now = values[field.key] ?? field.default;
    if (field.kind === "bool") {
      control = h("button", { ...common, type: "button", role: "switch", class: "switch", "aria-checked": now === "Yes", onclick: () => set(field.key, values[field.key] === "Yes" ? "No" : "Yes") },
        h("span", { class: "knob" }), h("span", { class: "switch-text" }, now));
    } else if (field.kind === "choice") {
      control = h("select", { ...common, onchange: (event) => set(field.key, event.target.value) }, field.choices.map((choice) => h("option", { value: choice, selected: choice === now }, choice)));
      control.value = now;
    } else {
      const isNumber = field.kind === "integer" || field.kind === "number";
      control = h("input", { ...common, type: "text", value: now, inputmode: isNumber ? "decimal" : null, class: isNumber ? "number" : "", oninput: (event) => { if (slider) slider.value = event.target.value; set(field.key, event.target.value); } });
      var slider = null;
      if (field.slider) {
        slider = h("input", { type: "range", min: field.slider[0], max: field.slider[1], step: field.slider[2], value: now, tabindex: "-1", "aria-hidden": "true", oninput: () => { control.value = slider.value; set(field.key, slider.value); } });
        extra = slider;
      }
      if (field.kind === "file") {
        extra = button("Browse", { icon: "folder", kind: "small", "aria-label": `Browse: ${field.label}`, onclick: async () => {
          const path = await browse({ label: field.label.replace(/[:?]\s*$/, ""), kinds: field.nodes, patterns: field.pattern.split(" ").filter(Boolean) }, values[field.key]);
          if (path) { control.value = path; set(field.key, path); }
          control.focus();
        } });
      }
    }
    const help = h("div", { class: "help", id: `${id}-help`, hidden: true }, h("p", {}, field.help), field.note && h("p", {}, field.note),
      h("p", { class: "muted" }, [field.flag && `Flag ${field.flag}. `, `Default: ${field.default === "" ? "empty" : field.default}. `, field.limits && `Allowed: ${field.limits}${field.unit ? ` ${field.unit}` : ""}.`]));
    const ask = h("button", { type: "button", class: "icon-button help-button", "aria-label": `Help: ${field.label}`, "aria-expanded": "false", onclick: () => {
      help.hidden = !help.hidden;
      ask.setAttribute("aria-expanded", String(!help.hidden));
    } }, icon("help"));
    const problem = h("div", { class: "problem", id: `${id}-problem` });
    const element = h("div", { class: `field kind-${field.kind}` },
      h("label", { for: id, title: field.help }, field.label), h("div", { class: "control" }, control, extra, field.unit && h("span", { class: "unit" }, field.unit)), ask, problem, help);
    rows.set(field.key, { field, element, control, extra, problem });
    return element;
  }

  function refresh() {
    for (const { field, element, control, extra, problem } of rows.values()) {
      const isOn = enabled(field, values, isContinue);
      element.classList.toggle("off", !isOn);
      control.disabled = !isOn;
      if (extra) extra.disabled = !isOn;
      if (field.kind === "bool") {
        control.setAttribute("aria-checked", values[field.key] === "Yes");
        control.lastChild.textContent = values[field.key];
      }
      element.classList.toggle("changed", (values[field.key] ?? field.default) !== field.default);
      const found = isOn && problems.find((other) => other.key === field.key);
      const isShown = found && (typed.has(field.key) || !found.is_missing);
      problem.textContent = isShown ? found.message : "";
      element.classList.toggle("wrong", Boolean(isShown && found.is_error));
      control.setAttribute("aria-invalid", String(Boolean(isShown && found.is_error)));
    }
  }

  function labelOf(key) {
    const field = type.tabs.flatMap((group) => group.fields).find((other) => other.key === key);
    return field ? field.label.replace(/[:?]\s*$/, "") : key;
  }

  let request = 0;
  const check = debounce(async () => {
    const mine = ++request;
    let data;
    try { data = await post("/api/check", { type: type.name, values, job: job || "", continue: isContinue }); } catch (error) { if (mine === request) clear(parts.issues, failure(error)); return; }
    if (mine !== request) return;
    problems = data.problems;
    parts.command.textContent = data.command || "The command appears here once the compulsory fields are filled in.";
    parts.command.classList.toggle("faint", !data.command);
    const errors = problems.filter((problem) => problem.is_error);
    const isOpen = (problem) => problem.is_missing && !typed.has(problem.key);
    const needed = errors.filter(isOpen).map((problem) => labelOf(problem.key));
    clear(parts.issues, needed.length > 0 && h("p", { class: "muted" }, `Still needed: ${needed.join(", ")}.`),
      errors.some((problem) => !isOpen(problem)) && h("ul", {}, errors.filter((problem) => !isOpen(problem)).slice(0, 5).map((problem) => {
      const where = type.tabs.find((group) => group.fields.some((field) => field.key === problem.key));
      return h("li", {}, h("button", { type: "button", class: "link", onclick: () => { if (where) { typed.add(problem.key); showTab(where.title); document.getElementById(`field-${problem.key}`)?.focus(); } } }, where ? `${where.title}: ` : "", problem.message));
    })));
    parts.run.disabled = errors.length > 0;
    if (parts.schedule) parts.schedule.disabled = errors.length > 0;
    root.dataset.checked = String(mine);
    for (const element of parts.tabs.children) {
      const group = type.tabs.find((other) => other.title === element.textContent);
      element.classList.toggle("wrong", Boolean(group && errors.some((p) => typed.has(p.key) && group.fields.some((field) => field.key === p.key))));
    }
    refresh();
  }, 150);

  async function submit(action) {
    parts.run.disabled = true;
    try {
      const body = isContinue ? { job, values } : { type: type.name, values, alias: parts.alias.value.trim(), action };
      const data = await post(isContinue ? "/api/continue" : "/api/jobs", body);
      if (data.warning) toast(data.warning, "bad");
      if (data.note) toast(data.note);
      onDone(data.job);
    } catch (error) {
      toast(error.message, "bad");
      parts.run.disabled = false;
    }
  }

  start();
  return root;
}

export function askText(title, label, value, action) {
  return dialog(title, (body, foot, close) => {
    const field = h("input", { type: "text", id: "ask", value, autofocus: true, autocomplete: "off", spellcheck: "false" });
    const form = h("form", { method: "dialog", onsubmit: (event) => { event.preventDefault(); close(field.value); } }, h("label", { for: "ask" }, label), field);
    body.append(form);
    foot.append(button("Cancel", { onclick: () => close() }), button(action, { kind: "primary", onclick: () => close(field.value) }));
  });
}
