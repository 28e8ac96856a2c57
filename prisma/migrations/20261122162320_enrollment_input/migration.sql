-- CreateTable
CREATE TABLE "EnrollmentInput" (
    "jobId" TEXT NOT NULL PRIMARY KEY,
    "content" BLOB NOT NULL,
    CONSTRAINT "EnrollmentInput_jobId_fkey" FOREIGN KEY ("jobId") REFERENCES "EnrollmentJob" ("id") ON DELETE CASCADE ON UPDATE CASCADE
);

-- MoveData
INSERT INTO "EnrollmentInput" ("jobId", "content")
SELECT "id", "input" FROM "EnrollmentJob" WHERE "status" <> 'completed';

-- AlterTable
ALTER TABLE "EnrollmentJob" DROP COLUMN "input";
