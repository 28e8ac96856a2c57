import { expect, test } from "@playwright/test";
import { busPath, connectBus } from "@/server/bus";
import { systemClock } from "@/server/clock";
import { loadConfig } from "@/server/config";
import { openDatabase } from "@/server/db";
import { createLogger } from "@/server/log";
import { createContext } from "@/server/services/create-context";
import { newId } from "@/server/services/ids";
import { createUser } from "@/server/services/users/create";
import { instanceForFile, signIn } from "./support/instance";

const instance = instanceForFile();
const OTHER = { email: "eve@example.com", password: "another long password" };

/** A second account with an administrator of its own; there is no page for it yet. */
async function makeOtherAccount(dataDir: string): Promise<void> {
  const config = loadConfig({ GANGWAY_DATA: dataDir });
  const db = await openDatabase(config);
  const bus = connectBus({ path: busPath(config), clock: systemClock, log: createLogger("tests", "silent") });
  const accountId = newId();
  await db.account.create({ data: { id: accountId, name: "Other works" } });
  const actor = { kind: "user", id: newId(), accountId, role: "administrator", email: "" } as const;
  await createUser(createContext({ config, db, bus, actor }), { ...OTHER, role: "administrator" });
  bus.close();
  await db.$disconnect();
}

test("two accounts cannot see each other", async ({ browser }) => {
  const { url, cli, file, runDevice, dataDir } = instance();
  await makeOtherAccount(dataDir);
  const [mine, other] = await Promise.all([browser.newContext(), browser.newContext()]);
  const [page, stranger] = await Promise.all([mine.newPage(), other.newPage()]);
  await signIn(page, url);
  await signIn(stranger, url, OTHER);
  await expect(stranger.getByRole("button", { name: /Other works/ })).toBeVisible();

  // What the stranger's page is told while things happen in the other account.
  const heard = stranger.evaluate(
    () =>
      new Promise<string>((done) => {
        let text = "";
        const source = new EventSource("/live");
        source.onmessage = ({ data }) => {
          text += data;
        };
        setTimeout(() => done(text), 8_000);
      }),
  );
  const bundle = file("mine.zip");
  await cli("certs", "create", "mine", "--out", bundle);
  runDevice(bundle);
  await page.goto(`${url}/devices`);
  const link = page.getByRole("row").nth(1).getByRole("link");
  await expect(link).toBeVisible({ timeout: 30_000 });
  const path = String(await link.getAttribute("href"));
  const id = path.slice(-32);

  expect(await heard).not.toContain(id);
  for (const [where, empty] of [
    ["/devices", "No device has come in yet"],
    ["/certificates", "No developer certificate yet"],
    ["/knocks", "Nobody was turned away"],
    [path, "This is not in your account"],
  ] as const) {
    await stranger.goto(url + where);
    await expect(stranger.getByText(empty)).toBeVisible();
  }
  const ask = async (name: string, input: object) =>
    stranger.request.get(`${url}/data/${name}?input=${encodeURIComponent(JSON.stringify(input))}`);
  expect((await ask("device", { id })).status()).toBe(404);
  expect((await ask("resources", { id })).status()).toBe(404);
  expect(await (await ask("events", { deviceId: id })).json()).toMatchObject({ rows: [] });
  expect(await (await ask("devices", {})).json()).toMatchObject({ total: 0 });
  expect(await (await ask("certificates", {})).json()).toEqual([]);
});
