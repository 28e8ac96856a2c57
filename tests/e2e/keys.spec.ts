import { expect, test } from "@playwright/test";
import { instanceForFile, signIn } from "./support/instance";

const instance = instanceForFile();

test("an API key is shown once and can be deleted", async ({ page }) => {
  await signIn(page, instance().url);
  await page.goto(`${instance().url}/keys`);
  await page.getByRole("button", { name: "Make the first key" }).click();
  await page.getByLabel("Name").fill("nightly");
  await page.getByRole("button", { name: "Make key" }).click();
  const dialog = page.getByRole("dialog", { name: /nightly/ });
  const key = await dialog.locator("code").first().innerText();
  expect(key).toMatch(/^ak_1\w{80,}$/);
  // It cannot be lost by a slip of the finger.
  await page.keyboard.press("Escape");
  await expect(dialog).toBeVisible();
  await dialog.getByRole("button", { name: "I have the key" }).click();

  await expect(page.getByText("Never used")).toBeVisible();
  expect(await page.content()).not.toContain(key);
  await page.getByRole("button", { name: "Delete the key nightly" }).click();
  await page.getByRole("alertdialog").getByRole("button", { name: "Delete key" }).click();
  await expect(page.getByText("No API key yet")).toBeVisible();
});
