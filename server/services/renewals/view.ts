/** A renewal of a device's certificate that was asked for. */
export interface Renewal {
  id: string;
  deviceId: string;
  certificateName: string;
  status: "new" | "completed";
  /** Null: not known yet. */
  result: "success" | "failure" | null;
  /** What came of it, in words. */
  detail: string | null;
  createdAt: Date;
  updatedAt: Date;
}

export const renewalSelect = {
  id: true,
  deviceId: true,
  certificateName: true,
  status: true,
  result: true,
  detail: true,
  createdAt: true,
  updatedAt: true,
} as const;

export const renewalView = ({
  status,
  result,
  ...row
}: Omit<Renewal, "status" | "result"> & { status: string; result: string | null }): Renewal => ({
  ...row,
  status: status === "completed" ? "completed" : "new",
  result: result === "success" || result === "failure" ? result : null,
});
