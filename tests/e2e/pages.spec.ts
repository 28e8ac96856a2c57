import { spawn } from "node:child_process";
import { expect, test } from "@playwright/test";
import { collectComplaints, expectAccessible } from "./support/axe";
import { call, instanceForFile, signIn } from "./support/instance";

const instance = instanceForFile();
const EMPTY = {
  "/": "Make a developer certificate",
  "/devices": "No device has come in yet",
  "/certificates": "No developer certificate yet",
  "/knocks": "Nobody was turned away",
  "/server": "Server CA",
  "/keys": "No API key yet",
  "/settings": "Registration lifetime",
  "/groups": "No group yet",
  "/enrollments": "No device is claimed",
  "/applications": "No application yet",
  "/notifications": "No program listens yet",
  "/reference": "Operations of Pelion that are not served",
  "/reference/get_v3_devices": "The request is not valid.",
  "/users": "ada@example.com",
  "/audit": "ada@example.com",
  "/accounts": "Runs this instance",
};

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

const looks = [
  { name: "wide and light", viewport: { width: 1280, height: 900 }, colorScheme: "light" },
  { name: "wide and dark", viewport: { width: 1280, height: 900 }, colorScheme: "dark" },
  { name: "narrow and light", viewport: { width: 390, height: 844 }, colorScheme: "light" },
  { name: "narrow and dark", viewport: { width: 390, height: 844 }, colorScheme: "dark" },
] as const;

test.describe.configure({ mode: "serial" });

for (const { name, ...look } of looks) {
  test.describe(name, () => {
    test.use(look);

    test("pages with nothing on them", async ({ page }) => {
      // Axe looks at every page, which takes its time on a busy machine.
      test.slow();
      const complaints = collectComplaints(page);
      await signIn(page, instance().url);
      for (const [path, text] of Object.entries(EMPTY)) {
        await page.goto(instance().url + path);
        await expect(page.getByText(text).first()).toBeVisible();
        await expectAccessible(page);
      }
      expect(complaints).toEqual([]);
    });
  });
}

test("a stranger's knock appears at once, with the reason", async ({ page }) => {
  await signIn(page, instance().url);
  await page.goto(`${instance().url}/knocks`);
  await expect(page.getByText("Nobody was turned away")).toBeVisible();
  const stranger = spawn(
    "openssl",
    [
      "s_client",
      "-connect",
      `127.0.0.1:${instance().bootstrapPort}`,
      "-tls1_2",
      "-cipher",
      "ECDHE-RSA-AES128-SHA",
    ],
    { stdio: "ignore" },
  );
  await new Promise((done) => stranger.once("exit", done));
  await expect(page.locator('[data-event="handshake.failed"]')).toContainText("127.0.0.1");
  await expectAccessible(page);
});

test.describe("with a device", () => {
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

  for (const { name, ...look } of looks) {
    test.describe(name, () => {
      test.use(look);

      test("pages full of things", async ({ page }) => {
        test.slow();
        const complaints = collectComplaints(page);
        await signIn(page, instance().url);
        const device = `/devices/${deviceId}`;
        for (const path of [
          ...Object.keys(EMPTY),
          device,
          `${device}?tab=timeline`,
          `${device}?tab=applications`,
          `${device}?tab=details`,
        ]) {
          await page.goto(instance().url + path);
          await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
          await expectAccessible(page);
        }
        expect(complaints).toEqual([]);
      });
    });
  }

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
});
