import { headers } from "next/headers";
import { contextOf } from "@/server/portal/session-user";
import { listDevices } from "@/server/services/devices/list";
import type { UserView } from "@/server/services/users/get";
import { runtime } from "../runtime";
import { curl } from "./curl";
import type { Document } from "./document";
import { type OperationView, type Reference, readReference, viewOperation } from "./index";

let read: { document: Document; reference: Reference } | undefined;

/** What the API serves, sorted; the document does not change while the process runs. */
export function reference(): { document: Document; reference: Reference } {
  if (read) return read;
  const document = runtime().openApi() as unknown as Document;
  read = { document, reference: readReference(document) };
  return read;
}

/** The address under which the page is read: a command with it works where it is pasted, too. */
export async function origin(): Promise<string> {
  const given = await headers();
  return `${given.get("x-forwarded-proto") ?? "http"}://${given.get("x-forwarded-host") ?? "localhost"}`;
}

const DEVICE = /\/(?:devices|device-requests|endpoints|subscriptions)\/\{([\w-]+)\}/;

/** An operation and the command for it, with the ID of a device of the account where it needs one. */
export async function operationFor(
  user: UserView,
  id: string,
): Promise<{ view: OperationView; command: string } | null> {
  const { document, reference: all } = reference();
  const view = viewOperation(document, all, id);
  const found = all.operations.get(id);
  if (!view || !found) return null;
  const [, parameter] = DEVICE.exec(view.path) ?? [];
  const device = parameter && (await listDevices(contextOf(user), { pageSize: 1 })).rows[0];
  const known = parameter && device ? { [parameter]: device.id } : {};
  return {
    view,
    command: curl(document, { ...view, source: found.source }, { origin: await origin(), known }),
  };
}
