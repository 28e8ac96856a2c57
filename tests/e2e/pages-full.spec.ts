import { expect, test } from "@playwright/test";
import { collectComplaints, expectAccessibleEverywhere } from "./support/axe";
import { call, instanceForFile, signIn } from "./support/instance";
import { PAGES } from "./support/pages";

const instance = instanceForFile();

/** Something on every page that a program can put there. */
async function fill(key: string): Promise<void> {
  const post = (path: string, body: object) => call(instance(), key, "POST", path, body);
  const made = await post("/v3/applications", { name: "dashboard", description: "Shows the temperatures." });
  await post(`/v3/applications/${made.data.id}/access-keys`, { name: "production" });
  await post("/v3/device-groups", { name: "North", description: "North of the canal" });
  await post("/v3/device-enrollments", { enrollment_identity: `A-${Array(32).fill("AB").join(":")}` });
  await post("/v3/accounts", { display_name: "Flower works", email: "flo@example.com" });
  await call(instance(), key, "PUT", "/v2/notification/websocket", {});
  await call(instance(), key, "PUT", "/v2/subscriptions", [{ "endpoint-name": "*" }]);
}

test.describe.configure({ mode: "serial" });

let deviceId = "";

test.beforeAll(async () => {
  const bundle = instance().file("pages.zip");
  await instance().cli("certs", "create", "pages", "--out", bundle);
  const key = (await instance().cli("keys", "create", "pages", "--administrator")).trim();
  await fill(key);
  instance().runDevice(bundle, "--transport", "tcp");
  await expect(async () => {
    const devices = JSON.parse(await instance().cli("devices", "list", "--json"));
    const found = (devices.data ?? devices)[0];
    expect(found?.state).toBe("registered");
    deviceId = found.id;
  }).toPass({ timeout: 30_000 });
});

test("pages full of things", async ({ page }) => {
  test.setTimeout(300_000);
  const complaints = collectComplaints(page);
  await signIn(page, instance().url);
  const device = `/devices/${deviceId}`;
  const tabs = ["timeline", "applications", "details"].map((tab) => `${device}?tab=${tab}`);
  for (const path of [...Object.keys(PAGES), device, ...tabs]) {
    await page.goto(instance().url + path);
    await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
    await expectAccessibleEverywhere(page);
  }
  expect(complaints).toEqual([]);
});

test("everything is within reach of the keyboard", async ({ page }) => {
  await signIn(page, instance().url);
  await page.goto(`${instance().url}/devices`);
  await page.keyboard.press("Tab");
  await expect(page.getByRole("link", { name: "Skip to the content" })).toBeFocused();
  await page.keyboard.press("Enter");
  const link = page.getByRole("row").nth(1).getByRole("link");
  for (
    let presses = 0;
    presses < 25 && !(await link.evaluate((el) => el === document.activeElement));
    presses++
  )
    await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await page.waitForURL(new RegExp(deviceId));
});

test.describe("on a phone", () => {
  test.use({ viewport: { width: 390, height: 844 } });

  test("the menu and the cards lead to the device", async ({ page }) => {
    await signIn(page, instance().url);
    await page.getByRole("button", { name: "Menu" }).click();
    await page.getByRole("dialog").getByRole("link", { name: "Devices" }).click();
    await page.getByRole("listitem").filter({ hasText: "Registered" }).getByRole("link").click();
    await page.waitForURL(new RegExp(deviceId));
    await expect(page.locator('[data-path="/3303/0/5700"]')).toBeVisible();
  });
});
