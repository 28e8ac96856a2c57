import { expect, type Page, test } from "@playwright/test";
import { collectComplaints, expectAccessible } from "./support/axe";
import { type Instance, instanceForFile, signIn } from "./support/instance";

test.describe.configure({ mode: "serial" });

const instance = instanceForFile();
let page: Page;
let complaints: string[];

interface Listed {
  id: string;
  endpointName: string;
  state: string;
  deviceKey: string | null;
}

const list = async ({ cli }: Instance): Promise<Listed[]> =>
  JSON.parse(await cli("devices", "list", "--json"));

/** Starts a device and waits until it is registered. */
async function bringIn(name: string, ...args: string[]): Promise<Listed> {
  const bundle = instance().file(`${name}.zip`);
  await instance().cli("certs", "create", name, "--out", bundle);
  const known = new Set((await list(instance())).map(({ id }) => id));
  instance().runDevice(bundle, ...args);
  let found: Listed | undefined;
  await expect(async () => {
    found = (await list(instance())).find(({ id, state }) => !known.has(id) && state === "registered");
    expect(found).toBeDefined();
  }).toPass({ timeout: 30_000 });
  return found as Listed;
}

const open = (id: string) => page.goto(`${instance().url}/devices/${id}`);
async function choose(item: string) {
  await page.getByRole("button", { name: "More", exact: true }).click();
  await page.getByRole("menuitem", { name: item }).click();
}
const confirm = (action: string) =>
  page.getByRole("alertdialog").getByRole("button", { name: action }).click();
const resource = (path: string) => page.locator(`[data-path="${path}"]`);
const press = (path: string, name: RegExp | string) =>
  resource(path)
    .getByRole("button", { name, exact: typeof name === "string" })
    .click();
const happened = (type: string, text: RegExp | string) =>
  page.locator(`[data-event="${type}"]`).filter({ hasText: text });

test.beforeAll(async ({ browser }) => {
  page = await (await browser.newContext()).newPage();
  complaints = collectComplaints(page);
  await signIn(page, instance().url);
});
test.afterAll(async () => {
  await page?.context().close();
});

test.describe("a device of Pelion's kind", () => {
  let device: Listed;

  test.beforeAll(async () => {
    device = await bringIn("meter", "--profile", "pelion", "--transport", "tcp");
  });

  test("shows what it reports by itself, and says so when that is to end", async () => {
    await open(device.id);
    const eye = resource("/3/0/0").getByRole("button", { name: /is reported by the device itself/ });
    await expect(eye).toHaveAttribute("aria-pressed", "true");
    await eye.hover();
    await expect(page.getByRole("tooltip")).toContainText("reports changes by itself");
    await eye.click();
    await expect(page.getByText("The device goes on to report it by itself.")).toBeVisible();
    await expectAccessible(page);
  });

  test("renews its certificate", async () => {
    await choose("Renew certificate");
    await expect(page.getByRole("alertdialog")).toContainText("makes a new key");
    await expectAccessible(page);
    await confirm("Renew certificate");
    await expect(page.getByText("The certificate is renewed.")).toBeVisible({ timeout: 20_000 });
    await page.getByRole("tab", { name: "Timeline" }).click();
    await expect(happened("certificate.renewed", "valid until")).toBeVisible();
    await expect(happened("resource.executed", "Executed Certificate Renewal")).toBeVisible();
    await page.getByRole("tab", { name: "Details" }).click();
    const now = (await list(instance())).find(({ id }) => id === device.id);
    expect(now?.deviceKey).not.toBe(device.deviceKey);
    await expect(page.getByText(String(now?.deviceKey))).toBeVisible();
    await page.getByRole("tab", { name: "Resources" }).click();
  });

  test("is written a time", async () => {
    await press("/3/0/13", /^Write /);
    await page.getByLabel("New value of Current Time").fill("2030-01-31T12:00:00");
    await press("/3/0/13", "Write");
    await expect(resource("/3/0/13").getByRole("status")).toContainText("Written");
    await expect(resource("/3/0/13").locator("[data-value]")).toContainText("2030-01-31 12:00");
  });

  test("comes back as another one after a factory reset, as the dialog says", async () => {
    await choose("Factory reset");
    await expect(page.getByRole("alertdialog")).toContainText("another ID");
    await expectAccessible(page);
    await confirm("Factory reset");
    await expect(page.getByText("The device was told to reset itself.")).toBeVisible({ timeout: 20_000 });
    await page.getByRole("tab", { name: "Timeline" }).click();
    await expect(happened("resource.executed", "Executed Factory Reset (/3/0/5)")).toBeVisible();
    // A client of this kind goes on until it starts again.
    await choose("Reboot");
    await confirm("Reboot");
    await expect(async () => {
      const others = (await list(instance())).filter(({ id }) => id !== device.id);
      expect(others).toMatchObject([{ endpointName: device.endpointName, state: "registered" }]);
    }).toPass({ timeout: 30_000 });
  });
});

test.describe("a standard device", () => {
  let device: Listed;

  test.beforeAll(async () => {
    device = await bringIn("sensor", "--transport", "udp", "--lifetime", "60");
  });

  test("reboots and is back with the same ID", async () => {
    await open(device.id);
    await page.getByRole("tab", { name: "Timeline" }).click();
    await expect(page.locator('[data-event="registration.registered"]')).toHaveCount(1);
    await choose("Reboot");
    await confirm("Reboot");
    await expect(page.getByText("The device was told to reboot.")).toBeVisible();
    await expect(happened("resource.executed", "Executed Reboot (/3/0/4)")).toBeVisible();
    await expect(page.locator('[data-event="registration.registered"]')).toHaveCount(2, { timeout: 20_000 });
    await expect(page.getByText("Registered", { exact: true })).toBeVisible();
  });

  test("has no certificate renewal to offer", async () => {
    await page.getByRole("button", { name: "More", exact: true }).click();
    await expect(page.getByRole("menuitem", { name: "Reboot" })).toBeEnabled();
    await expect(page.getByRole("menuitem", { name: "Renew certificate" })).toHaveCount(0);
    await page.keyboard.press("Escape");
  });

  test("is written a boolean, and told what is wrong in one sentence", async () => {
    await page.getByRole("tab", { name: "Resources" }).click();
    await press("/1/0/6", /^Write /);
    await page.getByLabel(/^New value of Notification Storing/).selectOption("false");
    await press("/1/0/6", "Write");
    await expect(resource("/1/0/6").locator("[data-value]")).toHaveText("false");
    await press("/1/0/7", /^Write /);
    await page.getByLabel("New value of Binding").fill("SMS");
    await press("/1/0/7", "Write");
    await expect(resource("/1/0/7").getByRole("status")).toHaveText(
      /^The device calls the request malformed \(4\.00: .*\)\.$/,
    );
  });

  test("cannot be asked while the gateway is down, and the menu says why", async () => {
    await instance().killGateway();
    await page.reload();
    await page.getByRole("button", { name: "More", exact: true }).click();
    const item = page.getByRole("menuitem", { name: "Reboot" });
    await expect(item).toBeDisabled();
    await expect(item).toContainText("The gateway is down");
    await expectAccessible(page, "[role=menu]");
    await item.click({ force: true });
    await expect(page.getByRole("alertdialog")).toHaveCount(0);
    await page.keyboard.press("Escape");
    await instance().startGateway();
    await page.reload();
    await choose("Reboot");
    await confirm("Reboot");
    await expect(page.getByText("The device was told to reboot.")).toBeVisible({ timeout: 20_000 });
  });

  test("cannot be asked when it is not registered, and the menu says why", async () => {
    await expect(page.getByText("Registered", { exact: true })).toBeVisible({ timeout: 20_000 });
    await instance().stopDevices();
    await expect(page.getByText("Deregistered", { exact: true })).toBeVisible({ timeout: 20_000 });
    await page.getByRole("button", { name: "More", exact: true }).click();
    for (const name of ["Reboot", "Factory reset"])
      await expect(page.getByRole("menuitem", { name })).toContainText("The device is not registered");
    await expect(page.getByRole("menuitem", { name: "Delete device" })).toBeEnabled();
  });
});

test("the browser had nothing to complain of", () => {
  expect(complaints).toEqual([]);
});
