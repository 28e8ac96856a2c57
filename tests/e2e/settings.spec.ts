import { expect, test } from "@playwright/test";
import { busPath, connectBus } from "@/server/bus";
import { systemClock } from "@/server/clock";
import { loadConfig } from "@/server/config";
import { openDatabase } from "@/server/db";
import { createLogger } from "@/server/log";
import { createContext } from "@/server/services/create-context";
import { newId } from "@/server/services/ids";
import { createUser } from "@/server/services/users/create";
import { collectComplaints, expectAccessible } from "./support/axe";
import { instanceForFile, signIn } from "./support/instance";

test.describe.configure({ mode: "serial" });

const instance = instanceForFile();
const DEVELOPER = { email: "dan@example.com", password: "yet another long password" };

/** A user who is no administrator; there is no page for it yet. */
async function makeDeveloper(dataDir: string): Promise<void> {
  const config = loadConfig({ GANGWAY_DATA: dataDir });
  const db = await openDatabase(config);
  const bus = connectBus({ path: busPath(config), clock: systemClock, log: createLogger("tests", "silent") });
  const { id: accountId } = await db.account.findFirstOrThrow();
  const actor = { kind: "user", id: newId(), accountId, role: "administrator", email: "" } as const;
  await createUser(createContext({ config, db, bus, actor }), { ...DEVELOPER, role: "developer" });
  bus.close();
  await db.$disconnect();
}

test("an administrator changes them, and devices go by them", async ({ page }) => {
  const complaints = collectComplaints(page);
  await signIn(page, instance().url);
  await page.getByRole("link", { name: "Settings" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Settings");
  await expect(page.getByRole("button", { name: "Save" })).toBeDisabled();
  await page.getByLabel("Account name").fill("Harbour works");
  const keys = page.getByRole("switch", { name: /make their own keys/ });
  await expect(keys).toBeChecked();
  await keys.click();
  await page.getByLabel("Registration lifetime").selectOption("Another time");
  await page.getByLabel("Seconds").fill("59");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByText("Must be 60 to 2592000 seconds")).toBeVisible();
  await expectAccessible(page);
  await page.getByLabel("Seconds").fill("120");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByText("Saved.")).toBeVisible();
  // The name stands beside every page.
  await expect(page.getByRole("button", { name: /Harbour works/ })).toBeVisible();
  await page.reload();
  await expect(page.getByLabel("Account name")).toHaveValue("Harbour works");
  await expect(keys).not.toBeChecked();
  await expect(page.getByLabel("Seconds")).toHaveValue("120");

  await page.goto(instance().url);
  await expect(page.locator('[data-event="account.updated"]')).toContainText("Harbour works");

  const bundle = instance().file("settings.zip");
  await instance().cli("certs", "create", "settings", "--out", bundle);
  instance().runDevice(bundle, "--profile", "pelion", "--transport", "tcp");
  await expect(page.getByText(/^Registered for 2 minutes/)).toBeVisible({ timeout: 30_000 });
  expect(complaints).toEqual([]);
});

test("they go back to the default", async ({ page }) => {
  await signIn(page, instance().url);
  await page.keyboard.press("ControlOrMeta+k");
  await page.getByPlaceholder(/Device name/).fill("settings");
  await page.getByRole("option", { name: "Settings" }).click();
  await page.getByLabel("Registration lifetime").selectOption({ index: 0 });
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByText("Saved.")).toBeVisible();
  await page.reload();
  await expect(page.getByLabel("Registration lifetime")).toHaveValue("default");
});

test("others read them only", async ({ page }) => {
  await makeDeveloper(instance().dataDir);
  await signIn(page, instance().url, DEVELOPER);
  await page.goto(`${instance().url}/settings`);
  await expect(page.getByText("Only administrators")).toBeVisible();
  await expect(page.getByLabel("Account name")).toBeDisabled();
  await expect(page.getByRole("switch")).toBeDisabled();
  await expect(page.getByRole("button", { name: "Save" })).toHaveCount(0);
  await expectAccessible(page);
});
