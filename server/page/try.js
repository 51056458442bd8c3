/** A form for an operation of the API page: parameters, a file, the answer. */

import { element } from "./dom.js";
import { key } from "./gateway.js";

const FILE_VERBS = [":classify", ":explain"];
const MOST_SHOWN = 20_000;

/** Returns a form for what can be tried: everything that is read, and what takes a picture. */
export function tryForm({ path, method, parameters }) {
  const takesFile = FILE_VERBS.some((verb) => path.endsWith(verb));
  if (method !== "get" && !takesFile) return [];
  const shown = parameters.filter((parameter) => parameter.in === "path" || parameter.in === "query");
  const fields = shown.map(field);
  const file = takesFile ? element("input", { type: "file", accept: "image/*", required: true }) : null;
  const answer = element("div.answer", { role: "status" });
  const form = element(
    "form.try",
    {},
    ...fields.map(({ label }) => label),
    file && element("label", {}, element("span", {}, "picture"), file),
    element("button.quiet", { type: "submit" }, "Send"),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send({ path, method, fields, file }).then(
      (shownAnswer) => answer.replaceChildren(...shownAnswer),
      (error) => answer.replaceChildren(element("p.error", {}, String(error.message))),
    );
  });
  return [element("h3", {}, "Try it"), form, answer];
}

function field({ name, in: place, required, schema, examples, example }) {
  const first = example ?? Object.values(examples ?? {})[0]?.value ?? schema.examples?.[0];
  const value = place === "path" ? first : undefined;
  const attributes = { name, required: required ?? false, value: value ?? "", placeholder: schema.default ?? "" };
  const input = element("input", { type: "text", autocomplete: "off", spellcheck: "false", ...attributes });
  return { name, place, input, label: element("label", {}, element("code", {}, name), input) };
}

async function send({ path, method, fields, file }) {
  let target = path.slice(1);
  const query = new URLSearchParams();
  for (const { name, place, input } of fields) {
    if (place === "path") target = target.replace(`{${name}}`, encodeURIComponent(input.value));
    else if (input.value) query.set(name, input.value);
  }
  const headers = key() ? { "X-API-Key": key() } : {};
  if (file) headers["Content-Type"] = "application/octet-stream";
  const address = query.size ? `${target}?${query}` : target;
  const since = performance.now();
  const response = await fetch(address, { method: method.toUpperCase(), headers, body: file?.files[0], cache: "no-store" });
  const blob = await response.blob();
  const took = `${response.status} ${response.statusText} · ${Math.round(performance.now() - since)} ms`;
  return [element("p.note", {}, took), await shownBody(blob)];
}

async function shownBody(blob) {
  if (blob.type.startsWith("image/") && !blob.type.includes("svg")) {
    return element("img", { src: URL.createObjectURL(blob), alt: "the answer" });
  }
  const text = await blob.text();
  return element("pre", { tabindex: "0" }, pretty(text, blob.type).slice(0, MOST_SHOWN));
}

function pretty(text, type) {
  if (!type.includes("json")) return text;
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
