import { execFile } from "node:child_process";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { promisify } from "node:util";
import { expect, type Page, test } from "@playwright/test";
import { collectComplaints, expectAccessible } from "./support/axe";
import { call, instanceForFile, signIn } from "./support/instance";

test.describe.configure({ mode: "serial" });

const instance = instanceForFile({ environment: { GANGWAY_CALLBACK_ALLOW: "127.0.0.1" } });
let page: Page;
let complaints: string[];
let key = "";

const open = (path: string) => page.goto(instance().url + path);
const dialog = () => page.getByRole("dialog");
const more = (name: string) => page.getByRole("button", { name: `More for ${name}`, exact: true }).click();
const choose = (item: string) => page.getByRole("menuitem", { name: item }).click();
const confirm = (action: string) =>
  page.getByRole("alertdialog").getByRole("button", { name: action }).click();

/** Runs a command as it stands on the page, with the key where it looks for it. */
const shell = async (command: string, withKey = key) =>
  (
    await promisify(execFile)("sh", ["-c", command.replace(/^curl /, "curl -s ")], {
      env: { ...process.env, GANGWAY_KEY: withKey },
    })
  ).stdout;

test.beforeAll(async ({ browser }) => {
  page = await (await browser.newContext()).newPage();
  complaints = collectComplaints(page);
  await signIn(page, instance().url);
});
test.afterAll(async () => {
  await page?.context().close();
});

test("an application is made with an access key that is shown once, and works", async () => {
  await open("/applications");
  await page.getByRole("button", { name: "Make the first application" }).click();
  await dialog().getByLabel("Name").fill("dashboard");
  await dialog().getByLabel("Description").fill("Shows the temperatures.");
  await expectAccessible(page, "[role=dialog]");
  await page.getByRole("button", { name: "Make application" }).click();
  const panel = page.getByRole("region", { name: "dashboard" });
  await expect(panel).toContainText("It can do nothing before it has an access key.");

  await panel.getByRole("button", { name: "New access key" }).click();
  await dialog().getByLabel("Name").fill("production");
  await dialog().getByLabel("Expires").selectOption("In 90 days");
  await expectAccessible(page, "[role=dialog]");
  await page.getByRole("button", { name: "Make access key" }).click();
  key = await dialog().locator("code").first().innerText();
  expect(key).toMatch(/^ak_2\w{80,}$/);
  await page.getByRole("button", { name: "I have the key" }).click();
  await expect(panel).toContainText("Never used");
  await expect(panel).toContainText(/Expires in \d+ d/);
  expect(await page.content()).not.toContain(key);
  expect((await call(instance(), key, "GET", "/v3/devices")).status).toBe(200);
  await page.reload();
  await expect(panel).toContainText("Used now");
});

test("an access key with one scope may do nothing else, and there are two at most", async () => {
  const panel = page.getByRole("region", { name: "dashboard" });
  await panel.getByRole("button", { name: "New access key" }).click();
  await dialog().getByLabel("Name").fill("display");
  for (const scope of ["Connect", "Manage", "Credentials"])
    await dialog().getByRole("checkbox", { name: scope }).uncheck();
  await page.getByRole("button", { name: "Make access key" }).click();
  const display = await dialog().locator("code").first().innerText();
  await page.getByRole("button", { name: "I have the key" }).click();
  await expect(panel).toContainText("only read");
  await expect(panel).toContainText("Two keys at most");
  expect((await call(instance(), display, "GET", "/v3/devices")).status).toBe(200);
  expect((await call(instance(), display, "POST", "/v3/device-groups", { name: "x" })).status).toBe(403);

  await page.getByRole("button", { name: "More for the access key display" }).click();
  await choose("Switch off");
  await expect(panel).toContainText("Switched off");
  expect((await call(instance(), display, "GET", "/v3/devices")).status).toBe(401);
  await page.getByRole("button", { name: "More for the access key display" }).click();
  await choose("Delete");
  await confirm("Delete key");
  await expect(panel).not.toContainText("display");
});

test("the commands of the reference work as they stand there", async () => {
  await open("/reference");
  await expect(page.getByText("Operations of Pelion that are not served")).toBeVisible();
  const first = await page.locator("pre").nth(1).innerText();
  expect(JSON.parse(await shell(first))).toMatchObject({ object: "list" });

  await page.keyboard.press("/");
  await expect(page.getByLabel("Search operations")).toBeFocused();
  await page.keyboard.type("post group");
  await expect(page.getByRole("status").filter({ hasText: "operation" })).toBeVisible();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
  await expect(page).toHaveURL(/\/reference\/post_/);

  await page.getByLabel("Search operations").fill("/v3/device-groups make");
  await page.getByRole("link", { name: /POST \/v3\/device-groups$/ }).click();
  await expect(page).toHaveURL(/post_v3_device_groups$/);
  const article = page.getByRole("article");
  await expect(article).toContainText("What its key must be allowed to");
  await expect(article).toContainText("required");
  await expectAccessible(page);
  const made = JSON.parse(await shell(await article.locator("pre").first().innerText()));
  expect(made).toMatchObject({ object: "device-group" });
  await page.goBack();
  await expect(page.getByLabel("Search operations")).toHaveValue(/make/);
});

test("the palette finds an operation", async () => {
  await page.keyboard.press("ControlOrMeta+k");
  await page.getByPlaceholder(/Device name/).fill("suspend post");
  await page
    .getByRole("option", { name: /suspend/i })
    .first()
    .click();
  await page.waitForURL(/\/reference\/post_.*suspend/);
});

test("the arrows go through the operations", async () => {
  await open("/reference/get_v3_devices");
  await page.getByLabel("Search operations").fill("suspend");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  const focused = page.locator("a:focus");
  await expect(focused).toBeVisible();
  const href = String(await focused.getAttribute("href"));
  await page.keyboard.press("Enter");
  await page.waitForURL(instance().url + href);
  await open("/reference/get_nothing");
  await expect(page.getByText("This is not in your account")).toBeVisible();
});

test("a program opens a channel by the command of the page, and appears there", async () => {
  await open("/notifications");
  await expect(page.getByText("No program listens yet")).toBeVisible();
  const command = await page.locator("pre").first().innerText();
  const poll = shell(`${command} -m 20`).catch(() => "");
  const panel = page.getByRole("region", { name: "dashboard" });
  await expect(panel).toContainText("Polling");
  await expect(panel).toContainText("Long polling");
  await expectAccessible(page);
  await page.getByRole("button", { name: "Delete the channel of dashboard" }).click();
  await confirm("Delete channel");
  await expect(page.getByText("No program listens yet")).toBeVisible();
  await poll;
});

test("the log of a callback says how each delivery ended", async () => {
  const statuses: number[] = [200];
  let taken = 0;
  const application = createServer((req, res) => {
    req.resume();
    req.once("end", () => {
      taken++;
      res.writeHead(statuses.shift() ?? 200).end();
    });
  });
  await new Promise<void>((done) => application.listen(0, "127.0.0.1", done));
  try {
    const url = `http://127.0.0.1:${(application.address() as AddressInfo).port}/told`;
    expect((await call(instance(), key, "PUT", "/v2/notification/callback", { url })).status).toBe(204);
    statuses.push(503);
    const bundle = instance().file("programs.zip");
    await instance().cli("certs", "create", "programs", "--out", bundle);
    instance().runDevice(bundle, "--transport", "tcp");
    await expect.poll(() => taken, { timeout: 30_000 }).toBeGreaterThanOrEqual(3);
    await open("/notifications");
    const panel = page.getByRole("region", { name: "dashboard" });
    await expect(panel).toContainText("Delivering");
    await expect(panel).toContainText(url);
    await panel.getByText("Delivery log").click();
    await expect(panel.getByRole("listitem").filter({ hasText: "503" })).toBeVisible();
    await expect(panel.getByRole("listitem").filter({ hasText: "200" }).first()).toContainText(
      /1 notification in \d+ ms/,
    );
    await expectAccessible(page);
  } finally {
    application.closeAllConnections();
    application.close();
  }
});

test("an application that is switched off loses its channel, and its keys open nothing", async () => {
  await open("/applications");
  const panel = page.getByRole("region", { name: "dashboard" });
  await expect(panel.getByRole("link", { name: /Callback/ })).toBeVisible();
  await more("dashboard");
  await choose("Switch off");
  await expect(page.getByRole("alertdialog")).toContainText("deleted");
  await confirm("Switch off");
  await expect(panel).toContainText("Switched off");
  await expect(panel).toContainText("No notification channel");
  expect((await call(instance(), key, "GET", "/v3/devices")).status).toBe(401);
  await more("dashboard");
  await choose("Switch on");
  await expect(panel).not.toContainText("Switched off");
  expect((await call(instance(), key, "GET", "/v3/devices")).status).toBe(200);
  await more("dashboard");
  await choose("Delete");
  await confirm("Delete application");
  await expect(page.getByText("No application yet")).toBeVisible();
});

test("the browser had nothing to complain of", () => {
  // The page of an operation that is not there is answered as such.
  expect(complaints.filter((text) => !text.includes("404"))).toEqual([]);
});
