"use client";
import { scopes as allScopes, type Scope } from "@/server/services/context";
import { Badge, Expiry } from "../status";
import { Ago } from "../time";

interface Key {
  name: string;
  prefix: string;
  status: string;
  scopes: readonly Scope[];
  role?: string;
  expiresAt: string | null;
  lastUsedAt: string | null;
  createdAt: string;
  createdBy: string;
}

/** What is said of a key in a list: its name, whether it opens anything, and what. */
export function KeyFacts({ item }: { item: Key }) {
  const limited = item.scopes.length < allScopes.length;
  return (
    <div className="min-w-0">
      <p className="flex flex-wrap items-center gap-x-2 gap-y-1">
        <span className="min-w-0 break-words font-medium">{item.name}</span>
        {item.status === "ACTIVE" ? null : (
          <Badge tone={item.status === "EXPIRED" ? "bad" : "warn"}>
            {item.status === "EXPIRED" ? "Expired" : "Switched off"}
          </Badge>
        )}
        {item.role === "administrator" ? <Badge tone="info">Administrators</Badge> : null}
        {limited ? (
          <span className="text-muted text-xs">
            {item.scopes.length === 0 ? "may do nothing" : `only ${item.scopes.join(", ")}`}
          </span>
        ) : null}
      </p>
      <p className="truncate font-mono text-muted text-xs" title={item.prefix}>
        {item.prefix}…
      </p>
    </div>
  );
}

/** When a key was used, and when it ends. */
export function KeyTimes({ item }: { item: Key }) {
  return (
    <div className="text-muted text-xs">
      <p>
        {item.lastUsedAt ? (
          <>
            Used <Ago at={item.lastUsedAt} />
          </>
        ) : (
          "Never used"
        )}
      </p>
      <p title={`By ${item.createdBy.replace(/^user:/, "")}`}>
        {item.expiresAt ? (
          <>
            Expires <Expiry notAfter={item.expiresAt} />
          </>
        ) : (
          <>
            Made <Ago at={item.createdAt} />
          </>
        )}
      </p>
    </div>
  );
}
