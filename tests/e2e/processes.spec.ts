import { expect, test } from "@playwright/test";
import Database from "better-sqlite3";
import { expectAccessibleEverywhere } from "./support/axe";
import { instanceForFile, signIn } from "./support/instance";

const instance = instanceForFile();

test("the portal says that the gateway is down, and goes on when it is back", async ({ page, request }) => {
  const { url, cli, file, runDevice, killGateway, startGateway } = instance();
  const bundle = file("device.zip");
  await cli("certs", "create", "device", "--out", bundle);
  runDevice(bundle, "--lifetime", "300");
  await signIn(page, url);
  await page.goto(`${url}/devices`);
  await page.getByRole("row").nth(1).getByRole("link").click({ timeout: 30_000 });
  const resource = page.locator('[data-path="/3303/0/5700"]');
  await resource.getByRole("button", { name: /^Observe / }).click({ timeout: 30_000 });
  const value = resource.locator("[data-value]").first();
  const before = await value.innerText();
  await expect(value).not.toHaveText(before, { timeout: 20_000 });

  await killGateway();
  expect((await request.get(`${url}/healthz`)).status()).toBe(503);
  await resource.getByRole("button", { name: /^Read / }).click();
  await expect(resource.getByRole("status")).toContainText(/gateway/i);
  await page.reload();
  await expect(page.getByText("Gateway is down")).toBeVisible();

  await startGateway();
  await expect(page.getByText("Gateway is up")).toBeVisible({ timeout: 30_000 });
  // Neither the registration nor the secure session was lost: the device answers at once.
  await resource.getByRole("button", { name: /^Read / }).click();
  await expect(resource.getByRole("status")).toContainText("Read", { timeout: 30_000 });
  await expect(resource.locator("[data-ok=true]")).toBeVisible();
});

test("every page says that nothing can be stored, for as long as it is so", async ({ page, request }) => {
  const { url, cli, file, runDevice } = instance();
  const bundle = file("another.zip");
  await cli("certs", "create", "another", "--out", bundle);
  await signIn(page, url);
  await page.goto(`${url}/devices`);
  const database = new Database(file("gangway.db"));
  // Somebody else writes and does not come to an end.
  database.exec("BEGIN IMMEDIATE");
  runDevice(bundle);
  const health = async () => (await request.get(`${url}/healthz`)).json();
  await expect.poll(health, { timeout: 30_000 }).toMatchObject({
    status: "degraded",
    gateway: "up",
    storage: "the database is locked by another process",
  });
  const notice = page.getByRole("alert").filter({ hasText: "Nothing can be stored" });
  await expect(notice).toContainText("locked by another process", { timeout: 20_000 });
  await expect(page.getByText("Cannot store")).toBeVisible();
  await expectAccessibleEverywhere(page);

  database.close();
  await expect(notice).toBeHidden({ timeout: 90_000 });
  expect(await health()).toMatchObject({ status: "ok", storage: "ok" });
});

test("an open page does not keep the portal from ending", async ({ page }) => {
  await signIn(page, instance().url);
  await expect(page.getByText(/Gateway is (up|down)/)).toBeVisible();
  const started = Date.now();
  await instance().stop();
  expect(Date.now() - started).toBeLessThan(6_000);
  await expect(page.getByText("Connection lost")).toBeVisible();
});
