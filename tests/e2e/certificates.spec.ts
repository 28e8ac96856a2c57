import { readFileSync } from "node:fs";
import { expect, test } from "@playwright/test";
import { unzipSync } from "fflate";
import { instanceForFile, signIn } from "./support/instance";

const instance = instanceForFile();

test.beforeEach(async ({ page }) => {
  await signIn(page, instance().url);
  await page.goto(`${instance().url}/certificates`);
});

test("a certificate is made and its bundle downloaded, once", async ({ page }) => {
  await page.getByRole("button", { name: "Make the first certificate" }).click();
  await page.getByLabel("Name").fill("Bench boards");
  await page.getByLabel("Description").fill("By the window");
  await page.getByRole("button", { name: "Make certificate" }).click();

  const dialog = page.getByRole("dialog", { name: /Download the bundle/ });
  await expect(dialog).toContainText("This works once");
  const downloading = page.waitForEvent("download");
  await dialog.getByRole("button", { name: "Download the bundle" }).click();
  const download = await downloading;
  expect(download.suggestedFilename()).toBe("bench-boards.zip");
  const files = unzipSync(readFileSync(await download.path()));
  expect(Object.keys(files)).toEqual(
    expect.arrayContaining([
      "mbed_cloud_dev_credentials.c",
      "device.pem",
      "key.der",
      "server-ca.pem",
      "gangway.json",
    ]),
  );
  const source = Buffer.from(files["mbed_cloud_dev_credentials.c"] ?? []).toString();
  expect(source).toContain("MBED_CLOUD_DEV_BOOTSTRAP_SERVER_URI");
  expect(source).toContain(`:${instance().bootstrapPort}`);

  const done = page.getByRole("dialog", { name: /on its way/ });
  await expect(done).toContainText("device run bench-boards.zip");
  await done.getByRole("radio", { name: "Anjay" }).click();
  await expect(done).toContainText(`-b -u coaps://127.0.0.1:${instance().bootstrapPort}`);
  const again = page.waitForEvent("download");
  await done.getByRole("button", { name: "Save again" }).click();
  await again;
  await done.getByRole("button", { name: "I have the file" }).click();

  const item = page.getByRole("region", { name: "Bench boards" });
  await expect(item).toContainText("0 / 100");
  await expect(item.getByRole("button", { name: "Download" })).toHaveCount(0);
  await page.reload();
  await expect(item.getByRole("button", { name: "Commands" })).toBeVisible();
});

test("a name that is taken is said at the field", async ({ page }) => {
  await instance().cli("certs", "create", "taken", "--out", instance().file("taken.zip"));
  await expect(page.getByRole("region", { name: "taken" })).toBeVisible();
  await page.getByRole("button", { name: "New certificate" }).click();
  await page.getByLabel("Name").fill("taken");
  await page.getByRole("button", { name: "Make certificate" }).click();
  await expect(page.getByRole("dialog").getByRole("alert")).toHaveText("Name is taken");
});

test("deleting says what happens before it happens", async ({ page }) => {
  await instance().cli("certs", "create", "old", "--out", instance().file("old.zip"));
  await page.getByRole("button", { name: "More for old" }).click();
  await page.getByRole("menuitem", { name: "Delete" }).click();
  const dialog = page.getByRole("alertdialog");
  await expect(dialog).toContainText("no device can bootstrap with it");
  await expect(dialog).toContainText("No device has used it yet");
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await expect(page.getByRole("region", { name: "old" })).toBeVisible();
  await page.getByRole("button", { name: "More for old" }).click();
  await page.getByRole("menuitem", { name: "Delete" }).click();
  await dialog.getByRole("button", { name: "Delete certificate" }).click();
  await expect(page.getByRole("region", { name: "old" })).toHaveCount(0);
});
