import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { promisify } from "node:util";
import { expect, test } from "@playwright/test";
import { instanceForFile } from "./support/instance";

const instance = instanceForFile();

/** The commands of a chapter, block by block. */
function commands(file: string, chapter: string): string[] {
  const text = readFileSync(file, "utf8").split(`## ${chapter}\n`)[1]?.split("\n## ")[0] ?? "";
  return [...text.matchAll(/```sh\n(.*?)```/gs)].map(([, block = ""]) => block);
}

test("the guide to the REST API leads from nothing to a value", async () => {
  const [first = "", device = "", ...rest] = commands("docs/rest-api.md", "From nothing to a value");
  expect(device).toContain("device run bundle.zip");
  const bundle = instance().file("bundle.zip");
  const here = (text: string) =>
    text
      .replaceAll("npm run --silent gangway --", `${process.execPath} build/cli.js`)
      .replace("http://localhost:3000", instance().url)
      .replaceAll("bundle.zip", bundle);
  const start = await promisify(execFile)("sh", ["-ec", `${here(first)}\necho "$KEY"`], {
    env: instance().environment,
  });
  const key = start.stdout.trim().split("\n").at(-1);
  instance().runDevice(bundle, "--transport", "tcp");
  await expect(async () => {
    const [found] = JSON.parse(await instance().cli("devices", "list", "--json"));
    expect(found?.state).toBe("registered");
  }).toPass({ timeout: 30_000 });

  const prepare = here(first)
    .replace(/^KEY=.*$/m, `KEY=${key}`)
    .replace(/^.*certs create.*$/m, "");
  const { stdout } = await promisify(execFile)("sh", ["-ec", [prepare, ...rest.map(here)].join("\n")], {
    env: instance().environment,
    timeout: 45_000,
  });
  const answers = stdout
    .split("\n")
    .filter((line) => /^[[{]/.test(line))
    .map((line) => JSON.parse(line));
  expect(answers[0]).toMatchObject({ object: "list", data: [{ state: "registered" }] });
  expect(answers[1]).toContainEqual(expect.objectContaining({ uri: "/3303/0/5700" }));
  const responses = answers.flatMap((answer) => answer["async-responses"] ?? []);
  const response = responses.find(({ id }) => id === "first");
  expect(response).toMatchObject({ status: 200, ct: "text/plain" });
  expect(Number(Buffer.from(response.payload, "base64").toString())).toBeGreaterThan(-40);
  expect(responses).toContainEqual(expect.objectContaining({ id: "second", status: 200 }));
});
