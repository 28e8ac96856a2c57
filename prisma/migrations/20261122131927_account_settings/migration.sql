-- AlterTable
ALTER TABLE "Account" ADD COLUMN "deviceKeys" BOOLEAN NOT NULL DEFAULT true;
ALTER TABLE "Account" ADD COLUMN "registrationLifetime" INTEGER;
