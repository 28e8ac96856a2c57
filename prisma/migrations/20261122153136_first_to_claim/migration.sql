-- AlterTable
ALTER TABLE "TrustedCertificate" ADD COLUMN "enrollmentMode" BOOLEAN NOT NULL DEFAULT false;

-- DropIndex
DROP INDEX "TrustedCertificate_fingerprint_key";

-- CreateIndex
CREATE UNIQUE INDEX "TrustedCertificate_accountId_fingerprint_key" ON "TrustedCertificate"("accountId", "fingerprint");

-- CreateIndex
CREATE INDEX "Device_bootstrapFingerprint_idx" ON "Device"("bootstrapFingerprint");
