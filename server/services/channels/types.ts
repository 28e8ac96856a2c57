import { z } from "zod";

/** What an owner can have one of, in Pelion's words. */
export const channelKinds = ["CALLBACK", "LONG_POLLING", "WEB_SOCKET"] as const;
export type ChannelKind = (typeof channelKinds)[number];

/** How messages of a channel are to look. */
export const serialization = z.object({
  /** Entries in a message. */
  maxChunkSize: z.int().min(100).max(10_000).default(10_000),
  includeUid: z.boolean().default(false),
  includeTimestamp: z.boolean().default(false),
  includeOriginalEp: z.boolean().default(false),
  deregistrationsAsObject: z.boolean().default(false),
});
export type Serialization = z.output<typeof serialization>;

/** Reads what `writeSerialization` wrote, and the column's default. */
export const readSerialization = (text: string): Serialization => serialization.parse(JSON.parse(text));
export const writeSerialization = (given: Serialization): string => JSON.stringify(given);

/** A channel as the process that delivers and the owner's application see it. */
export interface ChannelView {
  ownerId: string;
  accountId: string;
  kind: ChannelKind;
  serialization: Serialization;
  /** Of a callback. */
  url: string | null;
  /** Notifications that were deleted because the queue was full or they were too old. */
  dropped: number;
  activeAt: Date;
  failingSince: Date | null;
  nextTryAt: Date | null;
  tries: number;
  createdAt: Date;
}

export const channelSelect = {
  ownerId: true,
  accountId: true,
  kind: true,
  serialization: true,
  url: true,
  dropped: true,
  activeAt: true,
  failingSince: true,
  nextTryAt: true,
  tries: true,
  createdAt: true,
} as const;

type Row = Omit<ChannelView, "kind" | "serialization"> & { kind: string; serialization: string };

export const channelView = ({ kind, serialization: text, ...row }: Row): ChannelView => ({
  ...row,
  kind: kind as ChannelKind,
  serialization: readSerialization(text),
});

/** What the audit log tells of a channel: its headers may hold passwords. */
export const channelFacts = ({
  kind,
  url,
  serialization: look,
}: Pick<ChannelView, "kind" | "url" | "serialization">) => ({
  kind,
  url,
  serialization: { ...look },
});
