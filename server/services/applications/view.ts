import type { Transaction } from "@/server/db";
import { type ApiKeyView, apiKeySelect, apiKeyView, roleOf } from "../api-keys/list";
import type { Role } from "../groups/list";

/** What acts on devices for an account; its channel and subscriptions are its own, whichever of its keys is used. */
export interface ApplicationView {
  id: string;
  accountId: string;
  name: string;
  description: string;
  status: "ACTIVE" | "INACTIVE";
  /** The policy group it is in. */
  role: Role;
  /** When one of its keys was last used. */
  lastUsedAt: Date | null;
  createdAt: Date;
  updatedAt: Date;
}

export const applicationSelect = {
  id: true,
  accountId: true,
  name: true,
  description: true,
  status: true,
  role: true,
  createdAt: true,
  updatedAt: true,
  accessKeys: { select: { lastUsedAt: true } },
} as const satisfies NonNullable<Parameters<Transaction["application"]["findFirst"]>[0]>["select"];

type Row = Omit<ApplicationView, "status" | "role" | "lastUsedAt"> & {
  status: string;
  role: string;
  accessKeys: { lastUsedAt: Date | null }[];
};

export function applicationView({ accessKeys, status, role, ...row }: Row): ApplicationView {
  const used = accessKeys.flatMap(({ lastUsedAt }) => lastUsedAt ?? []);
  return {
    ...row,
    role: roleOf(role),
    status: status === "ACTIVE" ? "ACTIVE" : "INACTIVE",
    lastUsedAt: used.length > 0 ? new Date(Math.max(...used.map((at) => at.getTime()))) : null,
  };
}

/** What the audit log tells of an application. */
export const applicationFacts = ({ name, description, status, role }: ApplicationView) => ({
  name,
  description,
  status,
  role,
});

/** A key of an application, without its secret. */
export interface AccessKeyView extends Omit<ApiKeyView, "role" | "ownerId"> {
  accountId: string;
  applicationId: string;
  description: string;
}

export const accessKeySelect = {
  ...apiKeySelect,
  accountId: true,
  applicationId: true,
  description: true,
} as const;

type KeyRow = Parameters<typeof apiKeyView>[0] & {
  accountId: string;
  applicationId: string | null;
  description: string;
};

export function accessKeyView(row: KeyRow, now: number): AccessKeyView {
  const { role: _, ownerId: __, ...key } = apiKeyView(row, now);
  const { accountId, description } = row;
  return { ...key, accountId, description, applicationId: row.applicationId ?? "" };
}

/** What the audit log tells of an access key. */
export const accessKeyFacts = (key: AccessKeyView) => ({
  applicationId: key.applicationId,
  name: key.name,
  description: key.description,
  status: key.status,
  scopes: key.scopes,
  expiresAt: key.expiresAt,
});
