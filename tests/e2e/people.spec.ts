import { type Browser, expect, type Page, test } from "@playwright/test";
import { collectComplaints, expectAccessible } from "./support/axe";
import { call, instanceForFile, signIn } from "./support/instance";

test.describe.configure({ mode: "serial" });

const instance = instanceForFile();
let page: Page;
let complaints: string[];

const PASSWORD = "yet another long password";
const open = (path: string) => page.goto(instance().url + path);
const row = (text: string) => page.getByRole("main").getByRole("listitem").filter({ hasText: text });
const more = (name: string) => page.getByRole("button", { name: `More for ${name}` }).click();
const choose = (name: string) => page.getByRole("menuitem", { name }).click();
const confirm = (name: string) => page.getByRole("alertdialog").getByRole("button", { name }).click();

/** Follows an invitation in a browser of its own. */
async function join(browser: Browser, link: string, name: string): Promise<Page> {
  const theirs = await (await browser.newContext()).newPage();
  await theirs.goto(link);
  await expect(theirs.getByRole("heading", { level: 1 })).toContainText("Join");
  await expectAccessible(theirs);
  await theirs.getByLabel("Your name").fill(name);
  await theirs.getByLabel("Password").fill(PASSWORD);
  await theirs.getByRole("button", { name: "Join and sign in" }).click();
  await expect(theirs.getByRole("heading", { level: 1 })).toHaveText("Overview");
  return theirs;
}

test.beforeAll(async ({ browser }) => {
  page = await (await browser.newContext()).newPage();
  complaints = collectComplaints(page);
  await signIn(page, instance().url);
});
test.afterAll(async () => {
  await page?.context().close();
});

test("somebody is invited, joins, and is out at once when switched off", async ({ browser }) => {
  await open("/users");
  await page.getByRole("button", { name: "Invite somebody" }).click();
  await page.getByLabel("E-mail address").fill("grace@example.com");
  await expectAccessible(page, "[role=dialog]");
  await page.getByRole("button", { name: "Make the link" }).click();
  const link = await page.getByRole("dialog").locator("code").first().innerText();
  expect(link).toContain(`${instance().url}/invitation?token=`);
  await page.getByRole("button", { name: "I have the link" }).click();
  await expect(row("grace@example.com")).toContainText("Invited");
  await expect(row("grace@example.com")).toContainText("The link ends in");

  const theirs = await join(browser, link, "Grace");
  await theirs.goto(`${instance().url}/audit`);
  await expect(theirs.getByText("Only administrators read the audit log")).toBeVisible();
  await expect(theirs.getByRole("link", { name: "Audit log" })).toHaveCount(0);
  await theirs.goto(`${instance().url}/accounts`);
  await expect(theirs.getByText("This is not in your account")).toBeVisible();
  await theirs.goto(`${instance().url}/users`);
  await expect(theirs.getByRole("main").getByText("Grace", { exact: true })).toBeVisible();
  await expect(theirs.getByRole("button", { name: "Invite somebody" })).toHaveCount(0);
  await theirs.goto(link);
  await expect(theirs.getByText("does not work (any more)")).toBeVisible();

  await page.reload();
  await more("Grace");
  await choose("Switch off");
  await confirm("Switch off");
  await expect(row("Grace")).toContainText("Switched off");
  await theirs.goto(`${instance().url}/devices`);
  await expect(theirs).toHaveURL(/\/login/);
  await theirs.context().close();

  await more("Grace");
  await choose("Delete");
  await confirm("Delete user");
  await expect(row("Grace")).toHaveCount(0);
  await more("ada@example.com");
  await expect(page.getByRole("menuitem", { name: "Delete" })).toContainText("cannot do this to yourself");
  await page.keyboard.press("Escape");
});

test("an account is made, lives on its own, and is suspended", async ({ browser }) => {
  await open("/accounts");
  await page.getByRole("button", { name: "New account" }).click();
  await page.getByLabel("Account name").fill("Flower works");
  await page.getByLabel(/first administrator/).fill("flo@example.com");
  await expectAccessible(page, "[role=dialog]");
  await page.getByRole("button", { name: "Make account" }).click();
  const link = await page.getByRole("dialog").locator("code").first().innerText();
  await page.getByRole("button", { name: "I have the link" }).click();
  const theirs = await join(browser, link, "Flo");
  await expect(theirs.getByRole("button", { name: /Flower works/ })).toBeVisible();
  await theirs.goto(`${instance().url}/users`);
  await expect(theirs.getByRole("main").getByText("Flo", { exact: true })).toBeVisible();
  await expect(theirs.getByText("ada@example.com")).toHaveCount(0);
  await theirs.goto(`${instance().url}/accounts`);
  await expect(theirs.getByText("This is not in your account")).toBeVisible();

  await page.getByRole("button", { name: "Suspend Flower works" }).click();
  await confirm("Suspend account");
  await expect(row("Flower works")).toContainText("Suspended");
  await theirs.goto(`${instance().url}/devices`);
  await expect(theirs).toHaveURL(/\/login/);
  await page.getByRole("button", { name: "Resume Flower works" }).click();
  await expect(page.getByRole("button", { name: "Suspend Flower works" })).toBeVisible();
  await theirs.context().close();
});

test("the audit log says who changed what, and how it was before", async () => {
  const key = (await instance().cli("keys", "create", "auditor", "--administrator")).trim();
  const made = await call(instance(), key, "POST", "/v3/device-groups", { name: "north" });
  await call(instance(), key, "PUT", `/v3/device-groups/${made.data.id}`, { name: "south" });
  await open("/audit");
  const changes = page.getByRole("list", { name: "Changes" }).getByRole("listitem");
  const changed = changes.filter({ hasText: "Device group south" }).first();
  await expect(changed).toContainText("Key “auditor”");
  await expect(changed).toContainText(/changed.*name/s);
  await changed.getByRole("button", { expanded: false }).click();
  await expect(changed).toContainText(/was north/);
  await expect(changed).toContainText(/is south/);
  await expectAccessible(page);
  await changed.getByRole("button", { name: "All changes of it" }).click();
  await expect(page).toHaveURL(/object=/);
  await expect(changes).toHaveCount(2);
  await page.getByRole("button", { name: "Show all" }).click();

  await page.getByLabel("What").selectOption("User");
  await expect(page).toHaveURL(/type=user/);
  await expect(changes.first()).toContainText("User");
  await page.getByLabel("Who").selectOption("Key “auditor”");
  await expect(page.getByText("No change is like that")).toBeVisible();
  await page.reload();
  await expect(page.getByText("No change is like that")).toBeVisible();
  await page.getByRole("button", { name: "Show all changes" }).click();
  await page.getByLabel("To (UTC)").fill("2020-01-01");
  await expect(page.getByText("No change is like that")).toBeVisible();
});

test("the browser had nothing to complain of", () => {
  expect(complaints).toEqual([]);
});
