import { readFileSync, writeFileSync } from "node:fs";
import { expect, type Page, test } from "@playwright/test";
import { collectComplaints, expectAccessible } from "./support/axe";
import { call, instanceForFile, type RunningDevice, signIn } from "./support/instance";

test.describe.configure({ mode: "serial" });

const instance = instanceForFile();
let page: Page;
let complaints: string[];
let device: RunningDevice;
let id = "";
let key = "";

const open = (path: string) => page.goto(instance().url + path);
const tab = (name: string) => page.getByRole("tab", { name }).click();
const confirm = (name: string) => page.getByRole("alertdialog").getByRole("button", { name }).click();
const identity = (byte: string) => `A-${Array.from({ length: 32 }, () => byte).join(":")}`;

test.beforeAll(async ({ browser }) => {
  const bundle = instance().file("fleet.zip");
  await instance().cli("certs", "create", "fleet", "--out", bundle);
  key = (await instance().cli("keys", "create", "watcher")).trim();
  device = instance().runDevice(bundle, "--transport", "tcp", "--lifetime", "600");
  page = await (await browser.newContext()).newPage();
  complaints = collectComplaints(page);
  await signIn(page, instance().url);
  await expect(async () => {
    const [found] = JSON.parse(await instance().cli("devices", "list", "--json"));
    expect(found?.state).toBe("registered");
    id = found.id;
  }).toPass({ timeout: 30_000 });
});
test.afterAll(async () => {
  await page?.context().close();
});

test("a device is suspended with a reason, which every page shows, and comes back when resumed", async () => {
  test.slow();
  await open(`/devices/${id}`);
  await page.getByRole("button", { name: "More", exact: true }).click();
  await page.getByRole("menuitem", { name: "Suspend" }).click();
  await page.getByLabel("Why").selectOption("Lost or stolen");
  await page.getByLabel("What happened").fill("Left on a train.");
  await expectAccessible(page, "[role=dialog]");
  await page.getByRole("dialog").getByRole("button", { name: "Suspend" }).click();
  await expect(page.getByText(/Suspended .*Lost or stolen.*turned away/)).toBeVisible();
  await expect(page.getByText("Left on a train.")).toBeVisible();
  await expectAccessible(page);

  await open("/devices");
  await expect(page.getByRole("row").nth(1)).toContainText("Suspended");
  await page.getByRole("radio", { name: "Suspended" }).click();
  await expect(page).toHaveURL(/state=suspended/);
  await expect(page.getByRole("row")).toHaveCount(2);
  await page.getByRole("radio", { name: /^Registered/ }).click();
  await expect(page.getByText("No device is like that")).toBeVisible();

  await open(`/devices/${id}`);
  await page.getByRole("button", { name: "Resume" }).click();
  await expectAccessible(page, "[role=alertdialog]");
  await confirm("Resume");
  await expect(page.getByText(/turned away, and requests/)).toHaveCount(0);
  await tab("Timeline");
  await expect(page.locator('[data-event="device.suspended"]')).toBeVisible();
  await expect(page.locator('[data-event="device.resumed"]')).toBeVisible();
  await expect(page.getByText("Registered", { exact: true })).toBeVisible({ timeout: 60_000 });
});

test("a device is put into a group, and found by it", async () => {
  await open(`/devices/${id}?tab=details`);
  await page.getByLabel("Its name").fill("North");
  await page.getByRole("button", { name: "Put it in" }).click();
  const groups = page.getByRole("list", { name: "Groups" });
  await expect(groups).toContainText("North");
  await groups.getByRole("link", { name: "North" }).click();
  await expect(page).toHaveURL(/group=/);
  await expect(page.getByLabel("Group")).toContainText("North (1)");
  await expect(page.getByRole("row")).toHaveCount(2);

  await open("/groups");
  const item = page.getByRole("main").getByRole("listitem").filter({ hasText: "North" });
  await expect(item).toContainText("1 device");
  await page.getByRole("button", { name: "More for North" }).click();
  await page.getByRole("menuitem", { name: "Edit" }).click();
  await page.getByLabel("Description").fill("North of the canal");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(item).toContainText("North of the canal");

  await open(`/devices/${id}?tab=details`);
  await page.getByRole("button", { name: "Take it out of North" }).click();
  await expect(page.getByText("It is in no group.")).toBeVisible();
  await open("/groups");
  await expect(item).toContainText("0 devices");
  await page.getByRole("button", { name: "More for North" }).click();
  await page.getByRole("menuitem", { name: "Delete" }).click();
  await confirm("Delete group");
  await expect(page.getByText("No group yet")).toBeVisible();
});

test("what applications want of the device is on its page", async () => {
  await open(`/devices/${id}?tab=applications`);
  await expect(page.getByText("Nothing waits for the device")).toBeVisible();
  await expect(page.getByText("No application watches it")).toBeVisible();
  expect((await call(instance(), key, "PUT", `/v2/subscriptions/${id}/3303/0/5700`)).status).toBeLessThan(
    300,
  );
  await expect(page.getByText("/3303/0/5700")).toBeVisible();
  await expect(page.getByRole("link", { name: "watcher" })).toBeVisible();

  // Nobody answers any more, and the registration stands.
  await device.kill();
  const path = `/v2/device-requests/${id}?async-id=for-later`;
  for (const [index, uri] of ["/3/0/0", "/3/0/13"].entries())
    expect((await call(instance(), key, "POST", `${path}-${index}`, { method: "GET", uri })).status).toBe(
      202,
    );
  const waiting = page.getByRole("listitem").filter({ hasText: "for-later-1" });
  await expect(waiting).toContainText("GET /3/0/13");
  await expect(waiting).toContainText("Waiting");
  await expect(waiting).toContainText("watcher");
  await expectAccessible(page);
});

test("devices are claimed one by one and by a list, with a report on what went wrong", async () => {
  await open("/enrollments");
  await page.getByRole("button", { name: "Claim a device" }).first().click();
  await page.getByLabel("Enrollment identity").fill("A-12:34");
  await page.getByRole("button", { name: "Claim", exact: true }).click();
  await expect(page.getByRole("dialog").getByRole("alert")).toContainText("32 pairs");
  await expectAccessible(page, "[role=dialog]");
  await page.getByLabel("Enrollment identity").fill(identity("AB"));
  await page.getByRole("button", { name: "Claim", exact: true }).click();
  const claimed = page.getByRole("list", { name: "Claimed devices" }).getByRole("listitem");
  await expect(claimed).toHaveCount(1);
  await expect(claimed).toContainText("Awaited");

  const list = instance().file("list.csv");
  writeFileSync(list, ["identity", identity("01"), identity("AB"), "nonsense", identity("02")].join("\r\n"));
  await page.getByRole("button", { name: "Upload a list" }).first().click();
  await page.getByLabel("File").setInputFiles(list);
  await page.getByRole("dialog").getByRole("button", { name: "Upload" }).click();
  await expect(page.getByText("2 errors")).toBeVisible({ timeout: 15_000 });
  await expect(claimed).toHaveCount(3);
  await expectAccessible(page);
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("link", { name: "Errors" }).click(),
  ]);
  const report = readFileSync(await download.path(), "utf8");
  expect(report).toContain("nonsense");
  expect(report).toContain("duplicate");

  await claimed
    .filter({ hasText: identity("02") })
    .getByRole("button", { name: /Give up/ })
    .click();
  await confirm("Give it up");
  await expect(claimed).toHaveCount(2);
});

test("the browser had nothing to complain of", () => {
  expect(complaints).toEqual([]);
});
