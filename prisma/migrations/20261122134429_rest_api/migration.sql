-- AlterTable
ALTER TABLE "ApiKey" ADD COLUMN "ownerId" TEXT;
ALTER TABLE "ApiKey" ADD COLUMN "role" TEXT NOT NULL DEFAULT 'developer';

-- AlterTable
ALTER TABLE "Device" ADD COLUMN "autoUpdate" BOOLEAN NOT NULL DEFAULT false;
ALTER TABLE "Device" ADD COLUMN "deployment" TEXT NOT NULL DEFAULT '';
ALTER TABLE "Device" ADD COLUMN "deviceClass" TEXT NOT NULL DEFAULT '';
ALTER TABLE "Device" ADD COLUMN "hostGateway" TEXT NOT NULL DEFAULT '';
ALTER TABLE "Device" ADD COLUMN "issuerFingerprint" TEXT;
ALTER TABLE "Device" ADD COLUMN "manifest" TEXT NOT NULL DEFAULT '';
ALTER TABLE "Device" ADD COLUMN "mechanism" TEXT;
ALTER TABLE "Device" ADD COLUMN "mechanismUrl" TEXT NOT NULL DEFAULT '';
ALTER TABLE "Device" ADD COLUMN "serialNumber" TEXT NOT NULL DEFAULT '';
ALTER TABLE "Device" ADD COLUMN "vendorId" TEXT NOT NULL DEFAULT '';

-- AlterTable
ALTER TABLE "TrustedCertificate" ADD COLUMN "keepsKey" BOOLEAN NOT NULL DEFAULT false;

-- CreateIndex
CREATE INDEX "Device_accountId_id_idx" ON "Device"("accountId", "id");
