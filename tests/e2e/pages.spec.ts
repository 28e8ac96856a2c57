import { spawn } from "node:child_process";
import { expect, test } from "@playwright/test";
import { collectComplaints, expectAccessible, expectAccessibleEverywhere } from "./support/axe";
import { instanceForFile, signIn } from "./support/instance";
import { PAGES } from "./support/pages";

const instance = instanceForFile();

test.describe.configure({ mode: "serial" });

test("pages with nothing on them", async ({ page }) => {
  // Axe looks at every page three times, which takes its time on a busy machine.
  test.setTimeout(240_000);
  const complaints = collectComplaints(page);
  await signIn(page, instance().url);
  for (const [path, text] of Object.entries(PAGES)) {
    await page.goto(instance().url + path);
    await expect(page.getByRole("main").getByText(text).first()).toBeVisible();
    await expectAccessibleEverywhere(page);
  }
  expect(complaints).toEqual([]);
});

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
