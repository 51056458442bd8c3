/** The API page: draws the OpenAPI document that the gateway gives of itself. */

import { element } from "./dom.js";
import { schemaView } from "./schema.js";
import { tryForm } from "./try.js";

const METHODS = ["get", "post"];
const node = (id) => document.getElementById(id);

async function draw() {
  const response = await fetch("openapi.json");
  if (!response.ok) throw new Error(`the gateway answered ${response.status}`);
  const document_ = await response.json();
  const { title, version, description } = document_.info;
  node("title").textContent = title;
  node("about").append(...paragraphs(description), element("p.note", {}, `Version ${version}, OpenAPI ${document_.openapi}`));
  for (const tag of document_.tags) drawTag(tag, document_);
  openLinked();
}

function drawTag({ name, description }, document_) {
  const operations = operationsOf(document_).filter(({ operation }) => operation.tags.includes(name));
  const main = operations.filter(({ operation }) => !operation["x-variant"]);
  const links = main.map(({ operation, method, path }) =>
    element("a", { href: `#${operation.operationId}`, title: `${method.toUpperCase()} ${path}` }, operation.summary),
  );
  node("contents").append(element("h2", {}, description), ...links);
  const drawn = operations.map((entry) => drawOperation(entry, document_));
  const heading = element("h2", { id: `tag-${name}` }, description);
  node("operations").append(element("section", { "aria-labelledby": `tag-${name}` }, heading, ...drawn));
}

function operationsOf(document_) {
  return Object.entries(document_.paths).flatMap(([path, item]) =>
    METHODS.filter((method) => item[method]).map((method) => ({
      path,
      method,
      operation: item[method],
      parameters: [...(item.parameters ?? []), ...(item[method].parameters ?? [])].map((one) => resolve(one, document_)),
    })),
  );
}

function drawOperation(entry, document_) {
  const { path, method, operation } = entry;
  const summary = element(
    "summary",
    {},
    element(`span.method.${method}`, {}, method.toUpperCase()),
    element("code", {}, path),
    element("span.what", {}, operation.summary),
  );
  const details = element("details.operation", { id: operation.operationId }, summary);
  // Its inside is drawn when it is opened: the whole API at once is a long page.
  details.addEventListener("toggle", () => {
    if (details.open && details.children.length === 1) details.append(inside(entry, document_));
  });
  return details;
}

function inside(entry, document_) {
  const { operation, parameters } = entry;
  return element(
    "div.inside",
    {},
    ...paragraphs(operation.description),
    ...parametersView(parameters, document_),
    ...bodyView(operation.requestBody, document_),
    ...exampleView(operation),
    ...tryForm(entry),
    ...responsesView(operation.responses, document_),
  );
}

function parametersView(parameters, document_) {
  if (!parameters.length) return [];
  const rows = parameters.map((parameter) => {
    const place = parameter.required ? `${parameter.in}, required` : parameter.in;
    const term = element("dt", {}, element("code", {}, parameter.name), element("small", {}, place));
    return element("div", {}, term, element("dd", {}, schemaView(parameter.schema, document_), ...marked(parameter.description ?? "")));
  });
  return [element("h3", {}, "Parameters"), element("dl.fields", {}, ...rows)];
}

function bodyView(body, document_) {
  if (!body) return [];
  const rows = Object.entries(body.content).map(([type, { schema }]) =>
    element("div", {}, element("dt", {}, element("code", {}, type)), element("dd", {}, schemaView(schema ?? {}, document_))),
  );
  return [element("h3", {}, "Body"), ...paragraphs(body.description), element("dl.fields", {}, ...rows)];
}

function exampleView(operation) {
  const samples = operation["x-codeSamples"] ?? [];
  const shown = samples.map(({ source }) => {
    const text = source.replaceAll("{origin}", new URL(".", location.href).href.replace(/\/$/, ""));
    return element("pre", { tabindex: "0" }, text);
  });
  return shown.length ? [element("h3", {}, "With curl"), ...shown] : [];
}

function responsesView(responses, document_) {
  const drawn = Object.entries(responses).map(([status, given]) => {
    const response = resolve(given, document_);
    const summary = element("summary", {}, element("b", {}, status), response.description.split("\n")[0]);
    const headers = Object.entries(response.headers ?? {}).map(([name, header]) =>
      element("li", {}, element("code", {}, name), " ", ...marked(resolve(header, document_).description ?? "")),
    );
    const contents = Object.entries(response.content ?? {}).flatMap(([type, { schema }]) => [
      element("p.note", {}, type),
      schemaView(schema ?? {}, document_),
    ]);
    const list = headers.length ? [element("div.schema", {}, element("ul", {}, ...headers))] : [];
    return element("details", {}, summary, ...paragraphs(response.description.split("\n").slice(1).join("\n")), ...contents, ...list);
  });
  return [element("h3", {}, "Answers"), element("div.responses", {}, ...drawn)];
}

function resolve(given, document_) {
  if (!given.$ref) return given;
  return given.$ref.slice(2).split("/").reduce((found, name) => found[name], document_);
}

function paragraphs(text) {
  return (text ?? "").split(/\n\n+/).filter(Boolean).map((part) => element("p", {}, ...marked(part)));
}

/** What stands between backticks is code. */
function marked(text) {
  return text.split("`").map((part, place) => (place % 2 ? element("code", {}, part) : part));
}

function openLinked() {
  const open = () => {
    const linked = node(decodeURIComponent(location.hash.slice(1)));
    if (linked?.matches("details")) {
      linked.open = true;
      linked.scrollIntoView();
    }
  };
  window.addEventListener("hashchange", open);
  open();
}

draw().catch((error) => {
  node("about").append(element("p.trouble", { role: "alert" }, `The description can't be shown: ${error.message}`));
});
