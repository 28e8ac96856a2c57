import { expect, test } from "@playwright/test";
import { collectComplaints, expectAccessible } from "./support/axe";
import { ADMIN, instanceForFile, signIn } from "./support/instance";

test.describe("an instance with an administrator", () => {
  const instance = instanceForFile();

  test("says in words that a password is wrong, and lets the right one in", async ({ page }) => {
    await page.goto(`${instance().url}/login`);
    await expect(page).toHaveTitle("Sign in · Gangway");
    await expectAccessible(page);
    await page.getByLabel("E-mail address").fill(ADMIN.email);
    await page.getByLabel("Password").fill("not the password");
    await page.getByRole("button", { name: "Sign in" }).click();
    await expect(page.locator("form").getByRole("alert")).toContainText("do not belong together");
    await page.getByLabel("Password").fill(ADMIN.password);
    await page.getByRole("button", { name: "Sign in" }).click();
    await expect(page.getByRole("heading", { level: 1 })).toHaveText("Overview");
  });

  test("goes on to the page that was asked for", async ({ page }) => {
    await page.goto(`${instance().url}/devices?state=registered`);
    await expect(page).toHaveURL(/\/login\?next=/);
    await page.getByLabel("E-mail address").fill(ADMIN.email);
    await page.getByLabel("Password").fill(ADMIN.password);
    await page.getByRole("button", { name: "Sign in" }).click();
    await expect(page).toHaveURL(/\/devices\?state=registered$/);
  });

  test("never goes on to another site", async ({ page }) => {
    await signIn(page, instance().url);
    for (const next of ["https://example.com", "//example.com", "/\\example.com"]) {
      await page.goto(`${instance().url}/login?next=${encodeURIComponent(next)}`);
      expect(new URL(page.url()).origin).toBe(instance().url);
    }
  });

  test("works over https, with a cookie that only goes there", async ({ page, context }) => {
    const complaints = collectComplaints(page);
    await signIn(page, instance().httpsUrl);
    await expect(page.getByText("Gateway is up")).toBeVisible();
    const cookie = (await context.cookies()).find(({ name }) => name.endsWith("session-token"));
    expect(cookie).toMatchObject({ name: "__Secure-next-auth.session-token", secure: true, httpOnly: true });
    expect(complaints).toEqual([]);
  });

  test("signs out", async ({ page }) => {
    await signIn(page, instance().url);
    await page.getByRole("button", { name: /My account/ }).click();
    await page.getByRole("menuitem", { name: "Sign out" }).click();
    await expect(page).toHaveURL(/\/login/);
    await page.goto(`${instance().url}/keys`);
    await expect(page).toHaveURL(/\/login/);
  });

  test("shows a stranger nothing", async ({ request }) => {
    const { url } = instance();
    expect((await request.get(`${url}/data/devices`)).status()).toBe(401);
    expect((await request.get(`${url}/live`)).status()).toBe(401);
    for (const path of [
      "/",
      "/devices",
      "/groups",
      "/certificates",
      "/enrollments",
      "/knocks",
      "/server",
      "/server/ca.pem",
      "/applications",
      "/keys",
      "/notifications",
      "/reference",
      "/reference/get_v3_devices",
      "/users",
      "/audit",
      "/accounts",
    ]) {
      const answer = await request.get(url + path, { maxRedirects: 0 });
      expect(answer.status(), path).toBe(307);
      expect(answer.headers().location).toMatch(/^\/login/);
    }
  });

  test("does not believe a client's forwarded headers", async ({ request }) => {
    const answer = await request.get(`${instance().url}/api/auth/providers`, {
      headers: { "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https" },
    });
    expect(await answer.text()).not.toContain("evil.example");
  });

  test("sends headers that keep the page to itself, and says how it is", async ({ request }) => {
    const page = await request.get(`${instance().url}/login`);
    const policy = page.headers()["content-security-policy"] ?? "";
    expect(policy).toMatch(/script-src 'self' 'nonce-[\w+/=]+';/);
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toContain("http");
    expect(page.headers()["x-content-type-options"]).toBe("nosniff");
    const health = await request.get(`${instance().url}/healthz`);
    expect(await health.json()).toMatchObject({ status: "ok", portal: "up", gateway: "up" });
  });

  test("makes too many wrong passwords wait", async ({ page }) => {
    await page.goto(`${instance().url}/login`);
    await page.getByLabel("E-mail address").fill("nobody@example.com");
    await page.getByLabel("Password").fill("guess");
    const alert = page.locator("form").getByRole("alert");
    for (let guess = 0; guess < 12; guess++) {
      const answered = page.waitForResponse(/callback\/credentials/);
      await page.getByRole("button", { name: "Sign in" }).click();
      await answered;
      if (await alert.getByText("Too many attempts").isVisible()) break;
    }
    await expect(alert).toContainText(/Too many attempts.+Try again in \d+ minutes?/);
  });
});

test.describe("a new instance", () => {
  const instance = instanceForFile({ admin: false });

  test("makes its first administrator by the one-time link", async ({ page }) => {
    const link = instance().setupUrl;
    expect(link).not.toBeNull();
    await page.goto(`${instance().url}/setup?token=guessed`);
    await expect(page.getByText("does not work (any more)")).toBeVisible();
    await expectAccessible(page);

    await page.goto(String(link));
    await expect(page.getByRole("heading", { name: "Set up Gangway" })).toBeVisible();
    await expectAccessible(page);
    await page.getByLabel("Account name").fill("Harbour works");
    await page.getByLabel("Your name").fill("Grace");
    await page.getByLabel("E-mail address").fill("grace@example.com");
    await page.getByLabel("Password").fill("a long enough password");
    await page.getByRole("button", { name: "Make account and sign in" }).click();
    await expect(page.getByRole("heading", { level: 1 })).toHaveText("Overview");
    await expect(page.getByRole("button", { name: /Harbour works/ })).toBeVisible();

    await page.goto(String(link));
    await expect(page.getByText("does not work (any more)")).toBeVisible();
  });
});
