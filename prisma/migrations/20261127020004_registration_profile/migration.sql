-- AlterTable
ALTER TABLE "Registration" ADD COLUMN "profile" TEXT NOT NULL DEFAULT 'standard';

-- Until now the location told the kind of client.
UPDATE "Registration" SET "profile" = 'pelion' WHERE "id" LIKE '%/%';
