-- AlterTable
ALTER TABLE "Device" ADD COLUMN "claimedAt" DATETIME;
ALTER TABLE "Device" ADD COLUMN "suspendedAt" DATETIME;
ALTER TABLE "Device" ADD COLUMN "suspendedCategory" TEXT;
ALTER TABLE "Device" ADD COLUMN "suspendedDescription" TEXT;
ALTER TABLE "Device" ADD COLUMN "suspensionUpdatedAt" DATETIME;

-- AlterTable
ALTER TABLE "User" ADD COLUMN "address" TEXT;
ALTER TABLE "User" ADD COLUMN "phoneNumber" TEXT;
ALTER TABLE "User" ADD COLUMN "username" TEXT;

-- CreateTable
CREATE TABLE "Application" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "accountId" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "description" TEXT NOT NULL DEFAULT '',
    "status" TEXT NOT NULL DEFAULT 'ACTIVE',
    "role" TEXT NOT NULL DEFAULT 'developer',
    "createdBy" TEXT NOT NULL,
    "createdAt" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" DATETIME NOT NULL,
    CONSTRAINT "Application_accountId_fkey" FOREIGN KEY ("accountId") REFERENCES "Account" ("id") ON DELETE CASCADE ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "NotificationChannel" (
    "ownerId" TEXT NOT NULL PRIMARY KEY,
    "accountId" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "url" TEXT,
    "headers" BLOB,
    "secret" BLOB,
    "serialization" TEXT NOT NULL DEFAULT '{}',
    "dropped" INTEGER NOT NULL DEFAULT 0,
    "activeAt" DATETIME NOT NULL,
    "failingSince" DATETIME,
    "nextTryAt" DATETIME,
    "tries" INTEGER NOT NULL DEFAULT 0,
    "createdAt" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT "NotificationChannel_accountId_fkey" FOREIGN KEY ("accountId") REFERENCES "Account" ("id") ON DELETE CASCADE ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "Notification" (
    "seq" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    "ownerId" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "body" TEXT NOT NULL,
    "size" INTEGER NOT NULL,
    "at" DATETIME NOT NULL
);

-- CreateTable
CREATE TABLE "CallbackDelivery" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "ownerId" TEXT NOT NULL,
    "at" DATETIME NOT NULL,
    "status" INTEGER,
    "durationMs" INTEGER NOT NULL,
    "items" INTEGER NOT NULL,
    "error" TEXT NOT NULL DEFAULT ''
);

-- CreateTable
CREATE TABLE "Presubscription" (
    "ownerId" TEXT NOT NULL,
    "position" INTEGER NOT NULL,
    "accountId" TEXT NOT NULL,
    "endpointName" TEXT,
    "endpointType" TEXT,
    "resourcePaths" TEXT NOT NULL DEFAULT '[]',

    PRIMARY KEY ("ownerId", "position"),
    CONSTRAINT "Presubscription_accountId_fkey" FOREIGN KEY ("accountId") REFERENCES "Account" ("id") ON DELETE CASCADE ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "Subscription" (
    "ownerId" TEXT NOT NULL,
    "deviceId" TEXT NOT NULL,
    "path" TEXT NOT NULL,
    "createdAt" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,

    PRIMARY KEY ("ownerId", "deviceId", "path"),
    CONSTRAINT "Subscription_deviceId_fkey" FOREIGN KEY ("deviceId") REFERENCES "Device" ("id") ON DELETE CASCADE ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "DeviceRequest" (
    "id" TEXT NOT NULL PRIMARY KEY,
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
    "expiresAt" DATETIME NOT NULL,
    CONSTRAINT "DeviceRequest_deviceId_fkey" FOREIGN KEY ("deviceId") REFERENCES "Device" ("id") ON DELETE CASCADE ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "DesiredValue" (
    "deviceId" TEXT NOT NULL,
    "path" TEXT NOT NULL,
    "value" BLOB NOT NULL,
    "status" TEXT NOT NULL,
    "desiredAt" DATETIME NOT NULL,
    "statusUpdatedAt" DATETIME NOT NULL,

    PRIMARY KEY ("deviceId", "path"),
    CONSTRAINT "DesiredValue_deviceId_fkey" FOREIGN KEY ("deviceId") REFERENCES "Device" ("id") ON DELETE CASCADE ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "DeviceGroup" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "accountId" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "description" TEXT NOT NULL DEFAULT '',
    "customAttributes" TEXT NOT NULL DEFAULT '{}',
    "createdAt" DATETIME NOT NULL,
    "updatedAt" DATETIME NOT NULL,
    CONSTRAINT "DeviceGroup_accountId_fkey" FOREIGN KEY ("accountId") REFERENCES "Account" ("id") ON DELETE CASCADE ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "DeviceGroupMember" (
    "groupId" TEXT NOT NULL,
    "deviceId" TEXT NOT NULL,

    PRIMARY KEY ("groupId", "deviceId"),
    CONSTRAINT "DeviceGroupMember_groupId_fkey" FOREIGN KEY ("groupId") REFERENCES "DeviceGroup" ("id") ON DELETE CASCADE ON UPDATE CASCADE,
    CONSTRAINT "DeviceGroupMember_deviceId_fkey" FOREIGN KEY ("deviceId") REFERENCES "Device" ("id") ON DELETE CASCADE ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "DeviceQuery" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "accountId" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "query" TEXT NOT NULL,
    "createdAt" DATETIME NOT NULL,
    "updatedAt" DATETIME NOT NULL,
    CONSTRAINT "DeviceQuery_accountId_fkey" FOREIGN KEY ("accountId") REFERENCES "Account" ("id") ON DELETE CASCADE ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "Enrollment" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "accountId" TEXT NOT NULL,
    "identity" TEXT NOT NULL,
    "fingerprint" TEXT NOT NULL,
    "claimedAt" DATETIME,
    "deviceId" TEXT,
    "createdAt" DATETIME NOT NULL,
    "expiresAt" DATETIME NOT NULL,
    CONSTRAINT "Enrollment_accountId_fkey" FOREIGN KEY ("accountId") REFERENCES "Account" ("id") ON DELETE CASCADE ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "EnrollmentJob" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "accountId" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "status" TEXT NOT NULL DEFAULT 'new',
    "input" BLOB NOT NULL,
    "total" INTEGER NOT NULL DEFAULT 0,
    "processed" INTEGER NOT NULL DEFAULT 0,
    "errors" INTEGER NOT NULL DEFAULT 0,
    "fullReport" BLOB,
    "errorsReport" BLOB,
    "createdAt" DATETIME NOT NULL,
    "completedAt" DATETIME,
    CONSTRAINT "EnrollmentJob_accountId_fkey" FOREIGN KEY ("accountId") REFERENCES "Account" ("id") ON DELETE CASCADE ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "CertificateEnrollment" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "accountId" TEXT NOT NULL,
    "deviceId" TEXT NOT NULL,
    "certificateName" TEXT NOT NULL,
    "status" TEXT NOT NULL DEFAULT 'new',
    "result" TEXT,
    "detail" TEXT,
    "createdAt" DATETIME NOT NULL,
    "updatedAt" DATETIME NOT NULL,
    CONSTRAINT "CertificateEnrollment_accountId_fkey" FOREIGN KEY ("accountId") REFERENCES "Account" ("id") ON DELETE CASCADE ON UPDATE CASCADE,
    CONSTRAINT "CertificateEnrollment_deviceId_fkey" FOREIGN KEY ("deviceId") REFERENCES "Device" ("id") ON DELETE CASCADE ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "AuditEntry" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "accountId" TEXT NOT NULL,
    "actor" TEXT NOT NULL,
    "actorId" TEXT,
    "action" TEXT NOT NULL,
    "objectType" TEXT NOT NULL,
    "objectId" TEXT NOT NULL,
    "before" TEXT,
    "after" TEXT,
    "requestId" TEXT,
    "at" DATETIME NOT NULL,
    CONSTRAINT "AuditEntry_accountId_fkey" FOREIGN KEY ("accountId") REFERENCES "Account" ("id") ON DELETE CASCADE ON UPDATE CASCADE
);

-- RedefineTables
PRAGMA defer_foreign_keys=ON;
PRAGMA foreign_keys=OFF;
CREATE TABLE "new_Account" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "name" TEXT NOT NULL,
    "deviceKeys" BOOLEAN NOT NULL DEFAULT true,
    "registrationLifetime" INTEGER,
    "status" TEXT NOT NULL DEFAULT 'ACTIVE',
    "details" TEXT NOT NULL DEFAULT '{}',
    "createdAt" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" DATETIME NOT NULL
);
INSERT INTO "new_Account" ("createdAt", "deviceKeys", "id", "name", "registrationLifetime", "updatedAt") SELECT "createdAt", "deviceKeys", "id", "name", "registrationLifetime", "updatedAt" FROM "Account";
DROP TABLE "Account";
ALTER TABLE "new_Account" RENAME TO "Account";
CREATE TABLE "new_ApiKey" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "accountId" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "prefix" TEXT NOT NULL,
    "hash" TEXT NOT NULL,
    "status" TEXT NOT NULL DEFAULT 'ACTIVE',
    "role" TEXT NOT NULL DEFAULT 'developer',
    "ownerId" TEXT,
    "applicationId" TEXT,
    "description" TEXT NOT NULL DEFAULT '',
    "scopes" TEXT NOT NULL DEFAULT 'read connect manage credentials',
    "expiresAt" DATETIME,
    "lastUsedAt" DATETIME,
    "createdBy" TEXT NOT NULL,
    "createdAt" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" DATETIME NOT NULL,
    CONSTRAINT "ApiKey_accountId_fkey" FOREIGN KEY ("accountId") REFERENCES "Account" ("id") ON DELETE CASCADE ON UPDATE CASCADE,
    CONSTRAINT "ApiKey_applicationId_fkey" FOREIGN KEY ("applicationId") REFERENCES "Application" ("id") ON DELETE CASCADE ON UPDATE CASCADE
);
INSERT INTO "new_ApiKey" ("accountId", "createdAt", "createdBy", "expiresAt", "hash", "id", "lastUsedAt", "name", "ownerId", "prefix", "role", "status", "updatedAt") SELECT "accountId", "createdAt", "createdBy", "expiresAt", "hash", "id", "lastUsedAt", "name", "ownerId", "prefix", "role", "status", "updatedAt" FROM "ApiKey";
DROP TABLE "ApiKey";
ALTER TABLE "new_ApiKey" RENAME TO "ApiKey";
CREATE UNIQUE INDEX "ApiKey_hash_key" ON "ApiKey"("hash");
CREATE INDEX "ApiKey_accountId_idx" ON "ApiKey"("accountId");
CREATE INDEX "ApiKey_applicationId_idx" ON "ApiKey"("applicationId");
PRAGMA foreign_keys=ON;
PRAGMA defer_foreign_keys=OFF;

-- CreateIndex
CREATE UNIQUE INDEX "Application_accountId_name_key" ON "Application"("accountId", "name");

-- CreateIndex
CREATE INDEX "NotificationChannel_accountId_idx" ON "NotificationChannel"("accountId");

-- CreateIndex
CREATE INDEX "Notification_ownerId_seq_idx" ON "Notification"("ownerId", "seq");

-- CreateIndex
CREATE INDEX "CallbackDelivery_ownerId_id_idx" ON "CallbackDelivery"("ownerId", "id");

-- CreateIndex
CREATE INDEX "Subscription_deviceId_idx" ON "Subscription"("deviceId");

-- CreateIndex
CREATE INDEX "DeviceRequest_deviceId_id_idx" ON "DeviceRequest"("deviceId", "id");

-- CreateIndex
CREATE UNIQUE INDEX "DeviceGroup_accountId_name_key" ON "DeviceGroup"("accountId", "name");

-- CreateIndex
CREATE INDEX "DeviceGroupMember_deviceId_idx" ON "DeviceGroupMember"("deviceId");

-- CreateIndex
CREATE UNIQUE INDEX "DeviceQuery_accountId_name_key" ON "DeviceQuery"("accountId", "name");

-- CreateIndex
CREATE UNIQUE INDEX "Enrollment_identity_key" ON "Enrollment"("identity");

-- CreateIndex
CREATE UNIQUE INDEX "Enrollment_fingerprint_key" ON "Enrollment"("fingerprint");

-- CreateIndex
CREATE INDEX "Enrollment_accountId_id_idx" ON "Enrollment"("accountId", "id");

-- CreateIndex
CREATE INDEX "EnrollmentJob_accountId_id_idx" ON "EnrollmentJob"("accountId", "id");

-- CreateIndex
CREATE INDEX "CertificateEnrollment_accountId_id_idx" ON "CertificateEnrollment"("accountId", "id");

-- CreateIndex
CREATE INDEX "CertificateEnrollment_deviceId_idx" ON "CertificateEnrollment"("deviceId");

-- CreateIndex
CREATE INDEX "AuditEntry_accountId_id_idx" ON "AuditEntry"("accountId", "id");

-- CreateIndex
CREATE INDEX "AuditEntry_accountId_objectId_id_idx" ON "AuditEntry"("accountId", "objectId", "id");
