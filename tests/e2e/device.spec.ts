import { expect, type Page, test } from "@playwright/test";
import { collectComplaints, expectAccessible } from "./support/axe";
import { instanceForFile, type RunningDevice, signIn } from "./support/instance";

// The whole way, in the order in which a person goes it, in one browser window.
test.describe.configure({ mode: "serial" });

const instance = instanceForFile();
let page: Page;
let device: RunningDevice;
let deviceId = "";
let complaints: string[];

const resource = (path: string) => page.locator(`[data-path="${path}"]`);
const value = (path: string) => resource(path).locator("[data-value]").first();
const press = (path: string, name: RegExp | string) =>
  resource(path)
    .getByRole("button", { name, exact: typeof name === "string" })
    .click();

test.beforeAll(async ({ browser }) => {
  page = await (await browser.newContext()).newPage();
  complaints = collectComplaints(page);
  await signIn(page, instance().url);
});
test.afterAll(async () => {
  await page?.context().close();
});

test("the guide leads from nothing to a live device", async () => {
  const step = page.locator("[aria-current=step]");
  await expect(step).toContainText("Make a developer certificate");
  await expectAccessible(page);
  await step.getByRole("button", { name: "Make the first certificate" }).click();
  await page.getByLabel("Name").fill("Guide");
  await page.getByRole("button", { name: "Make certificate" }).click();
  const downloading = page.waitForEvent("download");
  await page.getByRole("button", { name: "Download the bundle" }).click();
  const bundle = instance().file("guide.zip");
  await (await downloading).saveAs(bundle);
  await page.getByRole("button", { name: "I have the file" }).click();
  await expect(step).toContainText("Run a device with it");
  await expect(step).toContainText("device run guide.zip");

  device = instance().runDevice(bundle, "--lifetime", "60");
  // From here on nobody touches the page: it finds out by itself.
  await expect(page.getByRole("link", { name: /^Registered/ })).toContainText("1", { timeout: 30_000 });
  await expect(page.getByText(/^Registered for 1 minute/)).toBeVisible();
});

test("the device stands in the list", async () => {
  await page.getByRole("link", { name: "Devices", exact: true }).first().click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Devices");
  const row = page.getByRole("row").nth(1);
  await expect(row).toContainText("Registered");
  await expect(row).toContainText("Online");
  await expect(row).toContainText("DTLS");
  await row.getByRole("link").click();
  await page.waitForURL(/\/devices\/[0-9a-f]{32}$/);
  deviceId = page.url().slice(-32);
  await expect(page.getByText(deviceId).first()).toBeVisible();
});

test("a resource is read, with its name, unit and age", async () => {
  await expect(resource("/3303/0/5700")).toContainText("Sensor Value");
  await press("/3/0/0", /^Read /);
  await expect(value("/3/0/0")).toHaveText("Gangway");
  await expect(resource("/3/0/0")).toContainText(/now|\d+ s ago/);
  await press("/3/0/9", /^Read /);
  await expect(value("/3/0/9")).toHaveText(/^\d+ %$/);
});

test("a whole instance is read at once", async () => {
  await page.getByRole("button", { name: "Read all of /3303/0" }).click();
  await expect(value("/3303/0/5701")).toHaveText("Cel");
  await expect(value("/3303/0/5750")).toHaveText("Room");
});

test("a resource is written, and a wrong value is refused in words", async () => {
  await press("/1/0/1", /^Write /);
  const input = page.getByLabel("New value of Lifetime");
  await input.fill("soon");
  await press("/1/0/1", "Write");
  await expect(resource("/1/0/1").getByRole("status")).toContainText("not a whole number");
  await input.fill("90");
  await press("/1/0/1", "Write");
  await expect(resource("/1/0/1").getByRole("status")).toContainText("Written");
  await press("/1/0/1", /^Read /);
  await expect(value("/1/0/1")).toHaveText("90 s");

  await press("/3303/0/5750", /^Write /);
  await page.getByLabel("New value of Application Type").fill("Engine room");
  await press("/3303/0/5750", "Write");
  await expect(value("/3303/0/5750")).toHaveText("Engine room");
});

test("what the device refuses is told with its code", async () => {
  await press("/1/0/7", /^Write /);
  await page.getByLabel("New value of Binding").fill("SMS");
  await press("/1/0/7", "Write");
  const result = resource("/1/0/7").getByRole("status");
  await expect(result).toContainText(/4\.\d\d/);
  await expect(result.locator("[data-ok=false]")).toBeVisible();
});

test("a resource is executed", async () => {
  await press("/3303/0/5605", /^Execute /);
  await press("/3303/0/5605", "Execute");
  await expect(resource("/3303/0/5605").getByRole("status")).toContainText("Executed");
});

test("an observed value changes by itself", async () => {
  await press("/3303/0/5700", /^Observe /);
  await expect(resource("/3303/0/5700").getByRole("button", { name: /^Stop observing/ })).toHaveAttribute(
    "aria-pressed",
    "true",
  );
  const first = await value("/3303/0/5700").innerText();
  await expect(value("/3303/0/5700")).not.toHaveText(first, { timeout: 20_000 });
  const second = await value("/3303/0/5700").innerText();
  await expect(value("/3303/0/5700")).not.toHaveText(second, { timeout: 20_000 });
  await press("/3303/0/5700", /^Stop observing/);
  await expect(resource("/3303/0/5700").getByRole("button", { name: /^Observe / })).toBeVisible();
});

test("the timeline tells what happened", async () => {
  await page.getByRole("tab", { name: "Timeline" }).click();
  await expect(page).toHaveURL(/tab=timeline/);
  await expect(page.locator('[data-event="bootstrap.finished"]')).toBeVisible();
  await expect(page.locator('[data-event="registration.registered"]').first()).toBeVisible();
  await page.getByRole("radio", { name: "Resources" }).click();
  const written = page.locator('[data-event="resource.written"]').first();
  await expect(written).toContainText("Application Type");
  await expect(page.locator('[data-event="bootstrap.finished"]')).toHaveCount(0);
  await written.getByRole("button").first().click();
  await expect(written).toContainText("ada@example.com");
  await page.getByRole("radio", { name: "All" }).click();
});

test("it is named, described and given attributes", async () => {
  await page.getByRole("tab", { name: "Details" }).click();
  await page.getByLabel("Name", { exact: true }).fill("Engine room sensor");
  await page.getByLabel("Description").fill("Starboard side");
  await page.getByRole("button", { name: "Save" }).first().click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Engine room sensor");

  await page.getByRole("button", { name: "Add" }).click();
  await page.getByLabel("Name of attribute 1").fill("1deck");
  await page.getByLabel("Value of attribute 1").fill("B");
  await page.getByRole("button", { name: "Save" }).last().click();
  await expect(page.getByText("must start with a letter")).toBeVisible();
  await page.getByLabel("Name of attribute 1").fill("deck");
  await page.getByRole("button", { name: "Save" }).last().click();
  await page.reload();
  await expect(page.getByLabel("Name of attribute 1")).toHaveValue("deck");
  await expect(page.getByLabel("Value of attribute 1")).toHaveValue("B");
});

test("it bootstraps again, told directly, and keeps its ID", async () => {
  const before = await page
    .locator("dd", { hasText: /^[0-9a-f]{64}$/ })
    .last()
    .innerText();
  await page.getByRole("button", { name: "Re-bootstrap" }).click();
  await page.getByRole("alertdialog").getByRole("button", { name: "Re-bootstrap" }).click();
  await expect(page.getByText("The device was told to bootstrap again.")).toBeVisible();
  await expect(page.locator("dd", { hasText: /^[0-9a-f]{64}$/ }).last()).not.toHaveText(before, {
    timeout: 30_000,
  });
  await expect(page.getByText("Registered", { exact: true })).toBeVisible({ timeout: 30_000 });
  expect(page.url()).toContain(deviceId);
  await page.getByRole("tab", { name: "Timeline" }).click();
  await expect(page.locator('[data-event="device.rebootstrap-requested"]')).toBeVisible();
  await expect(page.locator('[data-event="bootstrap.finished"]')).toHaveCount(2);
});

test("the list is searched, filtered and sorted, and the address says so", async () => {
  await page.goto(`${instance().url}/devices`);
  const row = page.getByRole("row").filter({ hasText: "Engine room sensor" });
  await expect(row).toBeVisible();
  await page.getByLabel("Search devices").fill("no such thing");
  await expect(page.getByText("No device is like that")).toBeVisible();
  await expect(page).toHaveURL(/search=no/);
  await page.getByRole("button", { name: "Show all devices" }).click();
  await expect(row).toBeVisible();
  await page.getByRole("radio", { name: /^Deregistered/ }).click();
  await expect(page).toHaveURL(/state=deregistered/);
  await expect(row).toHaveCount(0);
  await page.goBack();
  await expect(row).toBeVisible();
  await page.getByRole("button", { name: "State" }).click();
  await expect(page).toHaveURL(/sort=state/);
  await expect(page.getByRole("columnheader", { name: "State" })).toHaveAttribute("aria-sort", "ascending");
});

test("the list changes without a reload", async () => {
  await page.goto(`${instance().url}/devices`);
  const row = page.getByRole("row").filter({ hasText: "Engine room sensor" });
  await expect(row).toContainText("Registered");
  await device.stop();
  await expect(row).toContainText("Deregistered", { timeout: 20_000 });
  await expect(row).toContainText("Offline");
});

test("the palette finds the device by a part of its name", async () => {
  await page.keyboard.press("ControlOrMeta+k");
  await page.getByPlaceholder(/Device name/).fill("engine");
  await page.getByRole("option", { name: /Engine room sensor/ }).click();
  await page.waitForURL(new RegExp(deviceId));
  await expect(page.getByText("The device is not registered")).toBeVisible();
});

test("the browser had nothing to complain of", () => {
  expect(complaints).toEqual([]);
});

test("it is deleted after saying what that means", async () => {
  await page.getByRole("button", { name: "More", exact: true }).click();
  await page.getByRole("menuitem", { name: "Delete device" }).click();
  await expect(page.getByRole("alertdialog")).toContainText("another ID");
  await page.getByRole("alertdialog").getByRole("button", { name: "Delete device" }).click();
  await page.waitForURL(/\/devices$/);
  await expect(page.getByText("No device has come in yet")).toBeVisible();
  await page.goto(`${instance().url}/devices/${deviceId}`);
  await expect(page.getByText("This is not in your account")).toBeVisible();
});
