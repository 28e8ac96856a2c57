import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, expect, test } from "vitest";
import committed from "@/server/lwm2m/objects.data.json";

const run = promisify(execFile);
const script = join(__dirname, "../../../scripts/generate-objects.mjs");
let folder = "";
afterEach(() => rm(folder, { recursive: true, force: true }));

const definition = (version: string, items: string) => `\uFEFF<?xml version="1.0"?>
<!-- a <comment> with tags -->
<LWM2M><Object ObjectType="MODefinition"><Name>AT&amp;T &#x41;</Name>
<Description1><![CDATA[prose with <tags> ]]></Description1>
<ObjectID>9000</ObjectID><ObjectVersion>${version}</ObjectVersion>
<MultipleInstances>Multiple</MultipleInstances><Mandatory>Optional</Mandatory>
<Resources>${items}</Resources></Object></LWM2M>`;
const item = (id: number, type: string, range = "") => `<Item ID="${id}"><Name> Some
  name</Name><Operations>RW</Operations><MultipleInstances>Single</MultipleInstances><Mandatory>Mandatory</Mandatory>
  <Type>${type}</Type><RangeEnumeration>${range}</RangeEnumeration><Units/></Item>`;

async function generate(files: Record<string, string>) {
  folder = await mkdtemp(join(tmpdir(), "gangway-objects-"));
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  const out = join(folder, "out.json");
  const result = await run(process.execPath, [script, folder, out]).catch((error) => error);
  return { ...result, rows: JSON.parse(await readFile(out, "utf8")) };
}

test("facts only, every version, the newest first", async () => {
  const { rows, stdout } = await generate({
    "a.xml": definition("1.2", item(1, "Integer", "0...5") + item(0, "String", "1..9 Bytes")),
    "b.XML": definition("1.10", item(0, "Float", "as the manufacturer likes")),
  });
  expect(stdout).toBe("2 object definitions, 3 resources\n");
  expect(rows).toEqual([
    [9000, "AT&T A", "1.10", 1, 0, [[0, "Some name", "RW", 4, "", "", 0, 1]]],
    [
      9000,
      "AT&T A",
      "1.2",
      1,
      0,
      [
        [0, "Some name", "RW", 1, "", "1..9 bytes", 0, 1],
        [1, "Some name", "RW", 2, "", "0..5", 0, 1],
      ],
    ],
  ]);
});

test("a file that is broken is named and leaves the others", async () => {
  const { rows, stderr, code } = await generate({
    "good.xml": definition("1.0", ""),
    "broken.xml": "<LWM2M><Object>",
    "odd.xml": definition("1.0", item(0, "Complex")),
  });
  expect([rows.length, code]).toEqual([1, 1]);
  expect(stderr).toMatch(/broken\.xml: XML ends too early/);
  expect(stderr).toMatch(/odd\.xml: unknown type "Complex"/);
});

test("the committed table has every object once for each version, in order", () => {
  const keys = committed.map((row) => `${row[0]}:${row[2]}`);
  expect(new Set(keys).size).toBe(keys.length);
  const ids = committed.map((row) => Number(row[0]));
  expect([...ids].sort((a, b) => a - b)).toEqual(ids);
  expect(ids.length).toBeGreaterThan(300);
});
