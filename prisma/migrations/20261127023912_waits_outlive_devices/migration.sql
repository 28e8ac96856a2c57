-- CreateTable
CREATE TABLE "PendingSubscription" (
    "asyncId" TEXT NOT NULL PRIMARY KEY,
    "ownerId" TEXT NOT NULL,
    "accountId" TEXT NOT NULL,
    "deviceId" TEXT NOT NULL,
    "path" TEXT NOT NULL,
    "actor" TEXT NOT NULL,
    "createdAt" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP
);

-- CreateTable
CREATE TABLE "DeviceRemoval" (
    "deviceId" TEXT NOT NULL PRIMARY KEY,
    "accountId" TEXT NOT NULL,
    "endpointName" TEXT NOT NULL,
    "registered" BOOLEAN NOT NULL,
    "createdAt" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP
);

-- RedefineTables
PRAGMA defer_foreign_keys=ON;
PRAGMA foreign_keys=OFF;
CREATE TABLE "new_DeviceRequest" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "accountId" TEXT NOT NULL,
    "deviceId" TEXT NOT NULL,
    "ownerId" TEXT NOT NULL,
    "asyncId" TEXT NOT NULL,
    "actor" TEXT NOT NULL,
    "method" TEXT NOT NULL,
    "uri" TEXT NOT NULL,
    "accept" TEXT,
    "contentType" TEXT,
    "payload" BLOB NOT NULL,
    "retriesLeft" INTEGER NOT NULL,
    "sent" BOOLEAN NOT NULL DEFAULT false,
    "createdAt" DATETIME NOT NULL,
    "expiresAt" DATETIME NOT NULL
);
INSERT INTO "new_DeviceRequest" ("accountId", "accept", "actor", "asyncId", "contentType", "createdAt", "deviceId", "expiresAt", "id", "method", "ownerId", "payload", "retriesLeft", "sent", "uri") SELECT (SELECT "accountId" FROM "Device" WHERE "id" = "deviceId"), "accept", "actor", "asyncId", "contentType", "createdAt", "deviceId", "expiresAt", "id", "method", "ownerId", "payload", "retriesLeft", "sent", "uri" FROM "DeviceRequest";
DROP TABLE "DeviceRequest";
ALTER TABLE "new_DeviceRequest" RENAME TO "DeviceRequest";
CREATE INDEX "DeviceRequest_deviceId_id_idx" ON "DeviceRequest"("deviceId", "id");
PRAGMA foreign_keys=ON;
PRAGMA defer_foreign_keys=OFF;

-- CreateIndex
CREATE INDEX "PendingSubscription_deviceId_idx" ON "PendingSubscription"("deviceId");

-- CreateIndex
CREATE INDEX "PendingSubscription_ownerId_idx" ON "PendingSubscription"("ownerId");
