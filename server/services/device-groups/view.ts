import type { Transaction } from "@/server/db";
import { readAttributes } from "../devices/view";

/** Devices under one name. */
export interface DeviceGroupView {
  id: string;
  name: string;
  description: string;
  customAttributes: Record<string, string>;
  devices: number;
  createdAt: Date;
  updatedAt: Date;
}

export const groupSelect = {
  id: true,
  name: true,
  description: true,
  customAttributes: true,
  createdAt: true,
  updatedAt: true,
  _count: { select: { members: true } },
} as const satisfies NonNullable<Parameters<Transaction["deviceGroup"]["findFirst"]>[0]>["select"];

type Row = Omit<DeviceGroupView, "customAttributes" | "devices"> & {
  customAttributes: string;
  _count: { members: number };
};

export const groupView = ({ customAttributes, _count, ...row }: Row): DeviceGroupView => ({
  ...row,
  customAttributes: readAttributes(customAttributes),
  devices: _count.members,
});
