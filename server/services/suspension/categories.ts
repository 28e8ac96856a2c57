import { notFound } from "../errors";

/** A reason for which devices are blocked. */
export interface BlockCategory {
  reference: string;
  description: string;
  updatedAt: Date;
}

const updatedAt = new Date(Date.UTC(2026, 10, 22));

/** Every reason there is: the same for all accounts. */
export const blockCategories: readonly BlockCategory[] = [
  ["maintenance", "The device is being serviced and must not be disturbed."],
  ["lost_or_stolen", "Nobody knows where the device is, or whose hands it is in."],
  ["compromised", "The device, its keys or its software can no longer be trusted."],
  ["misbehaving", "The device does harm: it sends too much, wrong values, or disturbs others."],
  ["contract", "The contract, subscription or licence of the device has ended or is unpaid."],
  ["decommissioned", "The device is out of service and is not expected to come back."],
  ["other", "Another reason, told in the description."],
].map(([reference = "", description = ""]) => ({ reference, description, updatedAt }));

/** One reason, by its reference. */
export function findBlockCategory({ reference }: { reference: string }): BlockCategory {
  const category = blockCategories.find((one) => one.reference === reference);
  if (!category) throw notFound("Block category");
  return category;
}
