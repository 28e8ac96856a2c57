import { expect, test } from "@playwright/test";
import { expectAccessible } from "./support/axe";
import { call, instanceForFile, signIn } from "./support/instance";

const instance = instanceForFile();

test("an API key is shown once, changed, given another secret and deleted", async ({ page }) => {
  await signIn(page, instance().url);
  await page.goto(`${instance().url}/keys`);
  await page.getByRole("button", { name: "Make the first key" }).click();
  await page.getByLabel("Name").fill("nightly");
  await page.getByLabel("Group").selectOption("Administrators");
  await page.getByRole("checkbox", { name: "Manage" }).uncheck();
  await expectAccessible(page, "[role=dialog]");
  await page.getByRole("button", { name: "Make key" }).click();
  const dialog = page.getByRole("dialog", { name: /nightly/ });
  const key = await dialog.locator("code").first().innerText();
  expect(key).toMatch(/^ak_1\w{80,}$/);
  // It cannot be lost by a slip of the finger.
  await page.keyboard.press("Escape");
  await expect(dialog).toBeVisible();
  await dialog.getByRole("button", { name: "I have the key" }).click();

  const item = page.getByRole("main").getByRole("listitem").filter({ hasText: "nightly" });
  await expect(item).toContainText("Never used");
  await expect(item).toContainText("Administrators");
  await expect(item).toContainText("only read, connect, credentials");
  expect(await page.content()).not.toContain(key);
  const group = { name: "made by a key" };
  expect((await call(instance(), key, "POST", "/v3/device-groups", group)).status).toBe(403);

  const more = () => page.getByRole("button", { name: "More for the key nightly" }).click();
  const choose = (name: string) => page.getByRole("menuitem", { name }).click();
  const confirm = (name: string) => page.getByRole("alertdialog").getByRole("button", { name }).click();
  await more();
  await choose("Edit");
  await page.getByRole("checkbox", { name: "Manage" }).check();
  await page.getByRole("button", { name: "Save" }).click();
  await expect(item).not.toContainText("only");
  expect((await call(instance(), key, "POST", "/v3/device-groups", group)).status).toBe(201);

  await more();
  await choose("Replace the secret");
  await confirm("Replace it");
  const other = await dialog.locator("code").first().innerText();
  await dialog.getByRole("button", { name: "I have the key" }).click();
  expect((await call(instance(), key, "GET", "/v3/devices")).status).toBe(401);
  expect((await call(instance(), other, "GET", "/v3/devices")).status).toBe(200);

  await more();
  await choose("Switch off");
  await confirm("Switch off");
  await expect(item).toContainText("Switched off");
  expect((await call(instance(), other, "GET", "/v3/devices")).status).toBe(401);
  await more();
  await choose("Delete");
  await confirm("Delete key");
  await expect(page.getByText("No API key yet")).toBeVisible();
});
