import { AxeBuilder } from "@axe-core/playwright";
import { expect, type Page } from "@playwright/test";

/** No finding of axe, on the page or in a part of it, and nothing wider than the screen. */
export async function expectAccessible(page: Page, part = "html", rules?: string[]): Promise<void> {
  const axe = new AxeBuilder({ page }).include(part);
  const { violations } = await (rules ? axe.withRules(rules) : axe).analyze();
  const found = violations.map(
    ({ id, help, nodes }) => `${id}: ${help}\n${nodes.map(({ html }) => html).join("\n")}`,
  );
  const { width } = page.viewportSize() ?? { width: 0 };
  expect(found, `axe on ${page.url()} at ${width}`).toEqual([]);
  const wide = await page.evaluate(
    () => document.documentElement.scrollWidth > document.documentElement.clientWidth,
  );
  expect(wide, `${page.url()} is wider than the screen of ${width}`).toBe(false);
}

const WIDE = { width: 1280, height: 900 };
const NARROW = { width: 390, height: 844 };

/** The same on a narrow and on a wide screen; in the dark, where only the colours are others, their contrast. */
export async function expectAccessibleEverywhere(page: Page): Promise<void> {
  await page.setViewportSize(NARROW);
  await expectAccessible(page);
  await page.setViewportSize(WIDE);
  await expectAccessible(page);
  await page.emulateMedia({ colorScheme: "dark" });
  await expect(page.locator("html")).toHaveClass("dark");
  await expectAccessible(page, "html", ["color-contrast"]);
  await page.emulateMedia({ colorScheme: "light" });
}

/** What the browser complains of while a test runs: errors of scripts, blocked resources, failed hydration. */
export function collectComplaints(page: Page): string[] {
  const complaints: string[] = [];
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(message.text());
  });
  return complaints;
}
