-- DropIndex
DROP INDEX "Device_accountId_id_idx";

-- CreateIndex
CREATE INDEX "Device_accountId_id_state_customAttributes_idx" ON "Device"("accountId", "id", "state", "customAttributes");
