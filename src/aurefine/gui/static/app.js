// The shell: header, job types and jobs on the left, one view in the middle, routes in the address.

import { h, clear, button, iconButton, icon, toast, empty, failure, busy, count, moment } from "./dom.js";
import { get, news } from "./api.js";
import { jobForm } from "./form.js";
import { jobView, jobTitle, STATES } from "./jobview.js";
import { fileView, fileList } from "./files.js";
import { compareView } from "./compare.js";
import { flowChart } from "./flow.js";

const main = document.getElementById("main");
const side = document.getElementById("side");
const shade = document.getElementById("shade");
const state = { types: [], jobs: [], edges: [], project: null, titles: {}, filter: "", view: null, route: "" };

function theme() {
  return localStorage.getItem("theme") || "auto";
}
function applyTheme() {
  const wish = theme();
  const isDark = wish === "dark" || (wish === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.theme = isDark ? "dark" : "light";
  return isDark;
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", applyTheme);

function buildTop() {
  const top = document.getElementById("top");
  const isDark = applyTheme();
  const toggle = iconButton(isDark ? "sun" : "moon", isDark ? "Light colours" : "Dark colours", () => {
    localStorage.setItem("theme", applyTheme() ? "light" : "dark");
    buildTop();
  });
  clear(top,
    iconButton("menu", "Jobs", () => showSide(!side.classList.contains("open")), { class: "icon-button menu-button" }),
    h("a", { class: "brand", href: "#/" }, h("img", { src: "/static/icon.svg", alt: "", width: 22, height: 22 }), "aurefine"),
    h("span", { class: "project-name", title: state.project?.path }, state.project?.name || ""),
    h("span", { class: "grow" }),
    h("span", { class: "connection", id: "connection", hidden: true }, "connection lost"),
    h("nav", { class: "top-links", "aria-label": "Views" },
      h("a", { href: "#/" }, icon("flow"), h("span", {}, "Flow chart")), h("a", { href: "#/files" }, icon("folder"), h("span", {}, "Files")), h("a", { href: "#/compare//" }, icon("compare"), h("span", {}, "Compare"))),
    toggle);
}

function showSide(isOpen) {
  side.classList.toggle("open", isOpen);
  shade.hidden = !isOpen;
}
shade.addEventListener("click", () => showSide(false));
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") showSide(false);
  if (event.key === "/" && !/INPUT|TEXTAREA|SELECT/.test(document.activeElement.tagName)) { event.preventDefault(); side.querySelector("input[type=search]")?.focus(); }
});

// Arrow keys go through the tabs of a row; a click fills the row anew.
document.addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  const tab = event.target.closest?.("[role=tab]");
  if (!step || !tab) return;
  event.preventDefault();
  const row = tab.parentElement;
  const next = ([...row.children].indexOf(tab) + step + row.children.length) % row.children.length;
  row.children[next].click();
  row.children[next]?.focus();
});

let jobList = null;
let rowsByName = new Map();
function buildSide() {
  const filter = h("input", { type: "search", placeholder: "Filter jobs  /", "aria-label": "Filter jobs", value: state.filter });
  filter.addEventListener("input", () => { state.filter = filter.value; showJobs(); });
  jobList = h("div", { class: "job-list", role: "list", "aria-label": "Jobs" });
  clear(side,
    h("h2", {}, "New job"),
    h("div", { class: "types" }, state.types.map((type) => h("a", { class: "type", href: `#/new/${type.name}`, title: type.summary }, icon("plus"), h("span", {}, type.title)))),
    h("h2", {}, "Jobs", h("span", { class: "muted", id: "job-count" })),
    filter, jobList);
  showJobs();
}

function jobRow(job) {
  return h("a", { class: `job ${job.status.toLowerCase()}`, role: "listitem", href: `#/job/${job.name.replace(/\/$/, "")}`, "data-job": job.name },
    h("i", { class: "dot", "aria-hidden": "true" }), h("span", { class: "job-title" }, jobTitle(job)),
    h("span", { class: "job-number" }, job.number), h("span", { class: "job-type" }, `${state.titles[job.kind] || job.kind} · ${STATES[job.status] || job.status}`));
}

function showJobs() {
  const wanted = state.filter.trim().toLowerCase();
  const fits = (job) => !wanted || `${job.name} ${job.alias} ${job.type_title} ${STATES[job.status]}`.toLowerCase().includes(wanted);
  const found = state.jobs.filter(fits).reverse();
  document.getElementById("job-count").textContent = state.jobs.length ? count(state.jobs.length) : "";
  const next = new Map();
  const rows = found.map((job) => {
    const key = `${job.name}|${job.alias}|${job.status}`;
    const row = rowsByName.get(key) || jobRow(job);
    next.set(key, row);
    return row;
  });
  rowsByName = next;
  if (rows.length) jobList.replaceChildren(...rows);
  else clear(jobList, h("p", { class: "muted side-note" }, state.jobs.length ? "No job fits the filter." : "No jobs yet. Choose a job type above."));
  markCurrent();
}

function markCurrent() {
  const current = decodeURIComponent(location.hash);
  for (const link of side.querySelectorAll("a")) {
    const target = link.getAttribute("href");
    if (current === target || current.startsWith(`${target}/`)) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

async function reload() {
  const data = await get("/api/jobs");
  state.jobs = data.jobs;
  state.edges = data.edges;
  showJobs();
  const view = state.view;
  if (view?.jobName) {
    const job = state.jobs.find((other) => other.name === view.jobName);
    if (job) view.update(job);
  } else if (view?.isHome) route(true);
}

function home() {
  const root = h("div", { class: "page home" });
  const running = state.jobs.filter((job) => job.status === "Running");
  const failed = state.jobs.filter((job) => job.status === "Failed").length;
  const note = state.jobs.length ? [`${count(state.jobs.length)} job${state.jobs.length > 1 ? "s" : ""}`, `${running.length} running`, failed ? `${failed} failed` : ""].filter(Boolean).join(" · ") : "A new project";
  root.append(h("div", { class: "page-head" }, h("div", { class: "grow" }, h("h1", {}, state.project.name), h("p", { class: "muted" }, note))),
    state.jobs.length ? flowChart(state.jobs, state.edges, { titles: state.titles, states: STATES }) : empty("Set up the first job", "Import particles, micrographs or a map, then refine. Job types are on the left.", h("div", { class: "bar center" }, state.types.map((type) => h("a", { class: "button", href: `#/new/${type.name}` }, icon("plus"), h("span", {}, type.title))))));
  root.isHome = true;
  return root;
}

function route(isRefresh = false) {
  const hash = location.hash || "#/";
  const [, kind = "", ...rest] = hash.slice(1).split("?")[0].split("/");
  const query = new URLSearchParams(hash.split("?")[1] || "");
  const scroll = isRefresh ? main.scrollTop : 0;
  if (!isRefresh && state.route === hash) return;
  state.route = hash;
  state.view?.release?.();
  let view;
  let job = null;
  const done = async (name) => { await reload(); location.hash = `#/job/${name.replace(/\/$/, "")}`; };
  if (kind === "" || kind === "home") view = home();
  else if (kind === "new") {
    const type = state.types.find((other) => other.name === rest[0]);
    view = type ? jobForm({ type, from: query.get("from"), onDone: done }) : empty("No such job type", "Choose one on the left.");
  } else if (kind === "continue" || kind === "job") {
    job = state.jobs.find((other) => other.name === `${decodeURIComponent(rest[0])}/${decodeURIComponent(rest[1] || "")}/` || (other.alias && other.kind === rest[0] && other.alias === decodeURIComponent(rest[1] || "")));
    const type = job && state.types.find((other) => other.label === job.base_type);
    if (!job) view = empty("No such job", "It may have been deleted.");
    else if (kind === "job") view = jobView(job, state.types, rest[2], actions);
    else view = type ? jobForm({ type, job: job.name, mode: "continue", onDone: done }) : empty("This kind of job can not be continued here");
  } else if (kind === "file") view = fileView(decodeURIComponent(rest.join("/")));
  else if (kind === "files") view = h("div", { class: "page" }, h("div", { class: "page-head" }, h("h1", {}, "Files")), fileList(""));
  else if (kind === "compare") view = compareView(state.jobs, decodeURIComponent(rest[0] || ""), decodeURIComponent(rest[1] || ""));
  else view = empty("Page not found");
  state.view = view;
  clear(main, view);
  main.scrollTop = scroll;
  document.title = job ? `${jobTitle(job)} – aurefine` : `${state.project.name} – aurefine`;
  news.follow(job ? job.name : "");
  markCurrent();
  showSide(false);
  if (!isRefresh) main.focus({ preventScroll: true });
}

const actions = {
  reload,
  clone: (job) => { const type = state.types.find((other) => other.label === job.base_type); location.hash = type ? `#/new/${type.name}?from=${encodeURIComponent(job.name)}` : location.hash; },
  continueJob: (job) => { location.hash = `#/continue/${job.name.replace(/\/$/, "")}`; },
  compare: (job) => { location.hash = `#/compare/${encodeURIComponent(job.name)}/`; },
};

document.addEventListener("signed-out", () => clear(main, empty("Signed out", "The server has been restarted. Open the link that it has printed.")));
news.on("project", () => reload().catch((error) => toast(error.message, "bad")));
let wasLost = false;
news.on("lost", () => { wasLost = true; const mark = document.getElementById("connection"); if (mark) mark.hidden = false; });
news.on("hello", () => {
  const mark = document.getElementById("connection");
  if (mark) mark.hidden = true;
  if (wasLost) { wasLost = false; reload().catch(() => {}); }
});

(async () => {
  clear(main, busy("Opening the project…"));
  buildTop();
  try {
    const [project, types, jobs] = await Promise.all([get("/api/project"), get("/api/types"), get("/api/jobs")]);
    Object.assign(state, { project, types: types.types, jobs: jobs.jobs, edges: jobs.edges, titles: project.titles });
  } catch (error) {
    clear(main, failure(error));
    return;
  }
  buildTop();
  buildSide();
  window.addEventListener("hashchange", () => route());
  route();
  document.documentElement.dataset.ready = "yes";
})();

export { button, moment };
