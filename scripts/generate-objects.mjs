#!/usr/bin/env node
/**
 * Makes server/lwm2m/objects.data.json from a folder of LwM2M object definition files (the OMA registry's XML).
 * Only facts are taken: ids, names, operations, types, units, ranges, multiplicity, mandatory, versions.
 *
 *   node scripts/generate-objects.mjs FOLDER [OUT]
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const TYPES = {
  "": 0,
  string: 1,
  integer: 2,
  "unsigned integer": 3,
  float: 4,
  boolean: 5,
  opaque: 6,
  time: 7,
  objlnk: 8,
  corelnk: 9,
};
const ENTITIES = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

/** Reads the small part of XML these files use: elements, attributes, text, CDATA, comments. */
function parseXml(text) {
  const root = { tag: "", attributes: {}, children: [], text: "" };
  const open = [root];
  const token =
    /<!--[\s\S]*?-->|<!\[CDATA\[([\s\S]*?)\]\]>|<\?[\s\S]*?\?>|<!DOCTYPE[^>]*>|<(\/?)([\w:.-]+)((?:\s+[\w:.-]+\s*=\s*(?:"[^"]*"|'[^']*'))*)\s*(\/?)>|([^<]+)/g;
  let at = 0;
  for (let match = token.exec(text); match; match = token.exec(text)) {
    if (match.index !== at) throw new Error(`unreadable XML at character ${at}`);
    at = token.lastIndex;
    const [, cdata, closing, tag, attributeText, empty, plain] = match;
    const top = open[open.length - 1];
    if (cdata !== undefined) top.text += cdata;
    else if (plain !== undefined) top.text += decodeEntities(plain);
    else if (tag !== undefined && closing) {
      if (top.tag !== tag || open.length === 1) throw new Error(`</${tag}> does not close <${top.tag}>`);
      open.pop();
    } else if (tag !== undefined) {
      const attributes = {};
      for (const [, name, one, two] of attributeText.matchAll(/([\w:.-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')/g)) {
        attributes[name] = decodeEntities(one ?? two);
      }
      const element = { tag, attributes, children: [], text: "" };
      top.children.push(element);
      if (!empty) open.push(element);
    }
  }
  if (at !== text.length || open.length !== 1) throw new Error("XML ends too early");
  return root;
}

function decodeEntities(text) {
  return text.replace(/&(#x[0-9a-f]+|#\d+|\w+);/gi, (whole, name) => {
    if (name.startsWith("#x")) return String.fromCodePoint(Number.parseInt(name.slice(2), 16));
    if (name.startsWith("#")) return String.fromCodePoint(Number(name.slice(1)));
    return ENTITIES[name] ?? whole;
  });
}

const child = (element, tag) => element.children.find((one) => one.tag === tag);
const content = (element, tag) => (child(element, tag)?.text ?? "").replace(/\s+/g, " ").trim();

/** A range or enumeration in numbers, or nothing: explanations in prose are not taken over. */
function range(text) {
  const plain = text.replace(/\.{3,}/g, "..").replace(/\s*\.\.\s*/g, "..");
  return /^-?\d+(\.\d+)?(\.\.-?\d+(\.\d+)?)?( ?bytes)?$/i.test(plain) || /^-?\d+(, ?-?\d+)+$/.test(plain)
    ? plain.toLowerCase().replace(/(\d) ?bytes$/, "$1 bytes")
    : "";
}

function readObject(element) {
  const id = Number(content(element, "ObjectID"));
  if (!Number.isInteger(id) || id < 0 || id > 65535) throw new Error("no object id");
  const resources = (child(element, "Resources")?.children ?? [])
    .filter((item) => item.tag === "Item")
    .map((item) => {
      const type = TYPES[content(item, "Type").toLowerCase()];
      if (type === undefined) throw new Error(`unknown type "${content(item, "Type")}"`);
      const row = [
        Number(item.attributes.ID),
        content(item, "Name"),
        content(item, "Operations"),
        type,
        content(item, "Units").slice(0, 24),
        range(content(item, "RangeEnumeration")),
        content(item, "MultipleInstances") === "Multiple" ? 1 : 0,
        content(item, "Mandatory") === "Mandatory" ? 1 : 0,
      ];
      if (!Number.isInteger(row[0]) || row[0] < 0 || row[0] > 65535) throw new Error("no resource id");
      return row;
    })
    .sort((a, b) => a[0] - b[0]);
  return [
    id,
    content(element, "Name"),
    content(element, "ObjectVersion") || "1.0",
    content(element, "MultipleInstances") === "Multiple" ? 1 : 0,
    content(element, "Mandatory") === "Mandatory" ? 1 : 0,
    resources,
  ];
}

const newestFirst = (a, b) => {
  const [x, y] = [a, b].map((version) => version.split(".").map(Number));
  return y[0] - x[0] || y[1] - x[1];
};

function xmlFiles(folder) {
  return readdirSync(folder, { withFileTypes: true })
    .flatMap((entry) =>
      entry.isDirectory()
        ? xmlFiles(join(folder, entry.name))
        : /\.xml$/i.test(entry.name)
          ? [join(folder, entry.name)]
          : [],
    )
    .sort();
}

const here = dirname(fileURLToPath(import.meta.url));
const [folder, out = join(here, "../server/lwm2m/objects.data.json")] = process.argv.slice(2);
if (!folder) {
  console.error("usage: node scripts/generate-objects.mjs FOLDER [OUT]");
  process.exit(1);
}

const objects = new Map();
for (const file of xmlFiles(folder)) {
  try {
    const root = parseXml(readFileSync(file, "utf8").replace(/^\uFEFF/, ""));
    const definitions = child(root, "LWM2M");
    for (const element of definitions?.children.filter((one) => one.tag === "Object") ?? []) {
      const object = readObject(element);
      objects.set(`${object[0]}:${object[2]}`, object);
    }
  } catch (error) {
    console.error(`${file}: ${error.message}`);
    process.exitCode = 1;
  }
}
const rows = [...objects.values()].sort((a, b) => a[0] - b[0] || newestFirst(a[2], b[2]));
writeFileSync(out, `[\n${rows.map((row) => JSON.stringify(row)).join(",\n")}\n]\n`);
console.log(
  `${rows.length} object definitions, ${rows.reduce((sum, row) => sum + row[5].length, 0)} resources`,
);
