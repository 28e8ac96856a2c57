import type { Statement } from "../../db";

/** Everybody whom the deletion of a device concerns has been told. */
export const settleRemoval: Statement<{ deviceId: string }> = {
  name: "removal.settled",
  order: 90,
  sql: `DELETE FROM "DeviceRemoval" WHERE "deviceId" = @deviceId`,
};
