import { afterEach, beforeEach, expect, it } from "vitest";
import { createEnrollmentJob, listEnrollmentJobs } from "@/server/services/enrollments/jobs";
import { type Bench, openBench } from "./support";

let bench: Bench;
beforeEach(async () => {
  bench = await openBench();
});
afterEach(() => bench.close());

it("shows the lists of the account, the newest first", async () => {
  const { a, b } = bench;
  const list = Buffer.from("identity\nnonsense\n");
  const first = await createEnrollmentJob(a.user, { kind: "upload", list });
  await bench.clock.advance(1);
  const second = await createEnrollmentJob(a.user, { kind: "delete", list });
  await createEnrollmentJob(b.user, { kind: "upload", list });
  expect(await listEnrollmentJobs(a.developer)).toMatchObject([
    { id: second.id, kind: "delete", status: "new", total: 1 },
    { id: first.id, kind: "upload", processed: 0, completedAt: null },
  ]);
  await expect(listEnrollmentJobs(a.device)).rejects.toMatchObject({ code: "forbidden" });
});
