// Requests to the server, and its stream of news.

export class RequestError extends Error {
  constructor(message, status) { super(message); this.status = status; }
}

async function answerOf(response) {
  if (response.ok) return response;
  let message = `${response.status} ${response.statusText}`;
  try { message = (await response.json()).error || message; } catch { /* not JSON */ }
  if (response.status === 401) document.dispatchEvent(new CustomEvent("signed-out"));
  throw new RequestError(message, response.status);
}

async function send(address, options) {
  try {
    return await answerOf(await fetch(address, options));
  } catch (error) {
    if (error instanceof RequestError || error.name === "AbortError") throw error;
    throw new RequestError("The server does not answer. Is aurefine gui still running?", 0);
  }
}

export function address(path, values = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    if (value !== undefined && value !== null) query.set(name, value);
  }
  const text = query.toString();
  return text ? `${path}?${text}` : path;
}

export async function get(path, values, signal) {
  return (await send(address(path, values), { signal })).json();
}

export async function post(path, body) {
  const options = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  return (await send(path, options)).json();
}

export async function volume(path) {
  const response = await send(address("/api/files/volume", { path }));
  const shape = response.headers.get("X-Shape").split(",").map(Number);
  return {
    shape,
    scale: Number(response.headers.get("X-Scale")),
    pixelSize: Number(response.headers.get("X-Pixel-Size")),
    values: new Uint16Array(await response.arrayBuffer()),
  };
}

// One stream for the page; it follows the job that is shown.
export const news = {
  source: null,
  listeners: new Map(),
  job: undefined,

  follow(job) {
    if (this.job === job && this.source && this.source.readyState !== EventSource.CLOSED) return;
    this.job = job;
    if (this.source) this.source.close();
    this.source = new EventSource(address("/api/events", { job: job || undefined }));
    for (const kind of ["hello", "project", "files"]) {
      this.source.addEventListener(kind, (event) => this.tell(kind, JSON.parse(event.data)));
    }
    const source = this.source;
    source.onerror = () => {
      if (source !== this.source) return;
      this.tell("lost", {});
      if (source.readyState === EventSource.CLOSED) {
        setTimeout(() => { const again = this.job; this.job = undefined; this.follow(again); }, 3000);
      }
    };
  },

  // A browser allows few connections to one server: hidden tabs let go of theirs.
  pause(isHidden) {
    if (isHidden) {
      this.source?.close();
      this.source = null;
    } else if (!this.source) {
      this.tell("lost", {});
      this.follow(this.job);
    }
  },

  on(kind, call) {
    if (!this.listeners.has(kind)) this.listeners.set(kind, new Set());
    this.listeners.get(kind).add(call);
    return () => this.listeners.get(kind).delete(call);
  },

  tell(kind, data) {
    for (const call of this.listeners.get(kind) || []) call(data);
  },
};

document.addEventListener("visibilitychange", () => news.pause(document.hidden));
