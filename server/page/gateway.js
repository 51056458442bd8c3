/** Calls of the gateway: keys, problems, waiting where it asks to wait. */

const KEY = "lince-api-key";
const MOST_ATTEMPTS = 4;
const LONGEST_WAIT_SECONDS = 30;

/** An answer that is no success: `kind` is the last part of the problem's type. */
export class GatewayError extends Error {
  constructor(status, problem = {}, retryAfter = null) {
    super(problem.detail ?? "");
    this.status = status;
    this.kind = String(problem.type ?? "").split(":").pop();
    this.detail = problem.detail ?? "";
    this.retryAfter = retryAfter;
  }
}

export const key = () => sessionStorage.getItem(KEY) ?? "";

export function setKey(text) {
  if (text) sessionStorage.setItem(KEY, text);
  else sessionStorage.removeItem(KEY);
}

/** Returns the names of the models. */
export const models = async () => (await (await call("v1/models")).json()).models;

/** Returns what a model says of itself. */
export const card = async (model) => (await call(`v1/models/${encodeURIComponent(model)}`)).json();

/**
 * Classifies one picture, sent as it is.
 * @param {{file: Blob, model: string, version: string, signal: AbortSignal}} asked
 *   version is "" for the newest
 * @param {(seconds: number) => void} onWait called when the gateway asks to wait
 * @returns the answer, the milliseconds it took, and the stages that the gateway timed
 */
export async function classify({ file, model, version, signal }, onWait) {
  const path = `${address(model, version)}:classify`;
  for (let attempt = 1; ; attempt += 1) {
    const since = performance.now();
    try {
      const response = await call(path, { method: "POST", body: file, signal });
      const answer = await response.json();
      const milliseconds = performance.now() - since;
      return { answer, milliseconds, stages: stages(response.headers.get("Server-Timing")) };
    } catch (error) {
      const seconds = error.retryAfter;
      if (seconds === null || seconds === undefined || attempt === MOST_ATTEMPTS) throw error;
      onWait(seconds);
      await sleep(seconds * 1000, signal);
    }
  }
}

/** Returns the picture with the heat map over it, as a PNG. */
export async function explain({ file, model, version, signal }) {
  const options = { method: "POST", body: file, headers: { Accept: "image/png" }, signal };
  return (await call(`${address(model, version)}:explain`, options)).blob();
}

function address(model, version) {
  const path = `v1/models/${encodeURIComponent(model)}`;
  return version ? `${path}/versions/${encodeURIComponent(version)}` : path;
}

async function call(path, { headers = {}, ...options } = {}) {
  const sent = new Headers(headers);
  if (key()) sent.set("X-API-Key", key());
  // The bytes decide what a picture is; what a system takes a file for may be wrong.
  if (options.body) sent.set("Content-Type", "application/octet-stream");
  let response;
  try {
    response = await fetch(path, { ...options, headers: sent, cache: "no-store", credentials: "omit" });
  } catch (error) {
    throw options.signal?.aborted ? error : new GatewayError(0);
  }
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({}));
  throw new GatewayError(response.status, problem, wait(response));
}

function wait(response) {
  if (response.status !== 429 && response.status !== 503) return null;
  const seconds = Number.parseFloat(response.headers.get("Retry-After") ?? "1");
  return Math.min(Number.isFinite(seconds) ? seconds : 1, LONGEST_WAIT_SECONDS);
}

function stages(header) {
  const found = (header ?? "").matchAll(/([\w-]+)\s*;[^,]*?dur=([\d.]+)/g);
  return [...found].map(([, name, milliseconds]) => ({ name, milliseconds: Number(milliseconds) }));
}

function sleep(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}
