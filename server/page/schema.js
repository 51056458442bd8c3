/** A JSON Schema as a tree that can be read. */

import { element } from "./dom.js";

const MOST_DEPTH = 8;
const LIMITS = { minimum: "≥", maximum: "≤", exclusiveMinimum: ">", exclusiveMaximum: "<", pattern: "matches", minLength: "length ≥", maxLength: "length ≤", minItems: "items ≥", maxItems: "items ≤" };

/** Returns a schema as an element; what it refers to is taken from the document. */
export function schemaView(schema, document_) {
  return element("div.schema", {}, ...lines(schema, document_, 0));
}

function lines(given, document_, depth) {
  const { name, schema } = resolve(given, document_);
  const parts = [element("span.type", {}, typeText(schema, name)), ...limits(schema)];
  if (schema.description && depth > 0) parts.push(element("div.note", {}, schema.description));
  if (depth >= MOST_DEPTH) return parts;
  const children = childrenOf(schema, document_, depth + 1);
  if (!children.length) return parts;
  return [...parts, element("ul", {}, ...children)];
}

function childrenOf(schema, document_, depth) {
  const children = Object.entries(schema.properties ?? {}).map(([name, inner]) => {
    const needed = (schema.required ?? []).includes(name) ? "" : "?";
    return child(`${name}${needed}`, inner, document_, depth);
  });
  for (const inner of schema.anyOf ?? schema.oneOf ?? []) {
    if (inner.type !== "null") children.push(child("or", inner, document_, depth, true));
  }
  for (const inner of schema.allOf ?? []) children.push(child("and", inner, document_, depth, true));
  const items = schema.items && resolve(schema.items, document_).schema;
  if (items && isDeep(items)) children.push(child("each", schema.items, document_, depth, true));
  const more = schema.additionalProperties;
  if (more && typeof more === "object" && Object.keys(more).length) children.push(child("any name", more, document_, depth, true));
  return children;
}

function child(name, schema, document_, depth, muted = false) {
  const label = element(muted ? "span.type" : "code", {}, name);
  const inner = lines(schema, document_, depth);
  const hasList = inner.at(-1)?.tagName === "UL";
  if (!hasList || depth < 2) return element("li", {}, label, " ", ...inner);
  const list = inner.pop();
  return element("li", {}, element("details", {}, element("summary", {}, label, " ", ...inner), list));
}

const isDeep = (schema) => Boolean(schema.properties || schema.anyOf || schema.oneOf || schema.items);

function typeText(schema, name) {
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  const type = Array.isArray(schema.type) ? schema.type.join(" or ") : schema.type;
  const format = schema.format ?? schema.contentEncoding ?? schema.contentMediaType;
  const plain = [type ?? (schema.anyOf || schema.oneOf ? "one of" : schema.properties ? "object" : "any"), format && `(${format})`];
  const text = plain.filter(Boolean).join(" ");
  if (name) return schema.type === "object" || schema.properties ? name : `${name}: ${text}`;
  return text;
}

function limits(schema) {
  const said = Object.entries(LIMITS).filter(([key]) => schema[key] !== undefined).map(([key, sign]) => `${sign} ${schema[key]}`);
  if (schema.default !== undefined) said.push(`default ${JSON.stringify(schema.default)}`);
  return said.length ? [element("span.note", {}, ` ${said.join(", ")}`)] : [];
}

function resolve(schema, document_) {
  if (!schema.$ref) return { schema, name: null };
  const path = schema.$ref.slice(2).split("/");
  return { schema: path.reduce((found, name) => found[name], document_), name: path.at(-1) };
}
