import type { BusEvent } from "@/server/bus/messages";
import type { Statement, Transaction } from "@/server/db";
import { actorLabel, type Context } from "../context";
import { newId } from "../ids";
import { type EventData, type EventOutcome, type EventType, eventTypes } from "./types";

/** A row of DeviceEvent, ready for `eventStatement`. */
export interface EventRow {
  id: string;
  accountId: string | null;
  deviceId: string | null;
  type: EventType;
  category: string;
  outcome: EventOutcome;
  description: string;
  /** JSON object. */
  data: string;
  stateChange: boolean;
  actor: string;
  /** Milliseconds since 1970. */
  at: number;
}

/** What an event needs beside its type. */
export interface EventFields<T extends EventType> {
  /** Null: nobody's yet, for the operator only. */
  accountId: string | null;
  /** Null: nothing in the directory yet. */
  deviceId: string | null;
  data: EventData<T>;
  /** Milliseconds since 1970. */
  at: number;
  /** Given again, the row of this id is overwritten: so repeated events become one with a count. */
  id?: string;
  actor?: string;
  outcome?: EventOutcome;
  stateChange?: boolean;
}

/**
 * Writes events with a group commit. An id that is there already is brought up to date, so that a run of
 * keep-alive updates is one row.
 */
export const eventStatement: Statement<EventRow> = {
  name: "event",
  order: 100,
  sql: `INSERT INTO "DeviceEvent" ("id", "accountId", "deviceId", "type", "category", "outcome", "description", "data", "stateChange", "actor", "at")
VALUES (@id, @accountId, @deviceId, @type, @category, @outcome, @description, @data, @stateChange, @actor, @at)
ON CONFLICT("id") DO UPDATE SET "data" = excluded."data", "at" = excluded."at", "description" = excluded."description"`,
  key: (row) => row.id,
};

/** Puts an event into words; nothing is written yet. */
export function eventRow<T extends EventType>(type: T, fields: EventFields<T>): EventRow {
  const definition = eventTypes[type] as {
    category: string;
    outcome: EventOutcome;
    stateChange: boolean;
    describe(data: EventData<T>): string;
  };
  return {
    id: fields.id ?? newId(fields.at),
    accountId: fields.accountId,
    deviceId: fields.deviceId,
    type,
    category: definition.category,
    outcome: fields.outcome ?? definition.outcome,
    description: definition.describe(fields.data),
    data: JSON.stringify(fields.data),
    stateChange: fields.stateChange ?? definition.stateChange,
    actor: fields.actor ?? "device",
    at: fields.at,
  };
}

/** The message that tells listeners of a written row. */
export function eventMessage(row: EventRow): BusEvent {
  const { accountId, deviceId, data, ...rest } = row;
  return { kind: "event", accountId, deviceId, event: { ...rest, data: JSON.parse(data) } };
}

/** Writes an event of the actor within a transaction; the answer is to be published after the commit. */
export async function recordEvent<T extends EventType>(
  ctx: Pick<Context, "actor" | "clock">,
  tx: Pick<Transaction, "deviceEvent">,
  type: T,
  fields: Omit<EventFields<T>, "at"> & { at?: number },
): Promise<BusEvent> {
  const row = eventRow(type, {
    actor: actorLabel(ctx.actor),
    at: ctx.clock.now(),
    ...fields,
  } as EventFields<T>);
  await tx.deviceEvent.create({ data: { ...row, at: new Date(row.at) } });
  return eventMessage(row);
}
