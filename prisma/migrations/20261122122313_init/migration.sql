-- CreateTable
CREATE TABLE "Setting" (
    "key" TEXT NOT NULL PRIMARY KEY,
    "value" TEXT NOT NULL,
    "updatedAt" DATETIME NOT NULL
);

-- CreateTable
CREATE TABLE "Authority" (
    "role" TEXT NOT NULL PRIMARY KEY,
    "certificate" BLOB NOT NULL,
    "privateKey" BLOB NOT NULL,
    "notAfter" DATETIME NOT NULL,
    "createdAt" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP
);

-- CreateTable
CREATE TABLE "Account" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "name" TEXT NOT NULL,
    "createdAt" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" DATETIME NOT NULL
);

-- CreateTable
CREATE TABLE "User" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "accountId" TEXT NOT NULL,
    "email" TEXT NOT NULL,
    "name" TEXT NOT NULL DEFAULT '',
    "passwordHash" TEXT NOT NULL,
    "role" TEXT NOT NULL DEFAULT 'developer',
    "status" TEXT NOT NULL DEFAULT 'ACTIVE',
    "lastLoginAt" DATETIME,
    "createdAt" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" DATETIME NOT NULL,
    CONSTRAINT "User_accountId_fkey" FOREIGN KEY ("accountId") REFERENCES "Account" ("id") ON DELETE CASCADE ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "ApiKey" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "accountId" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "prefix" TEXT NOT NULL,
    "hash" TEXT NOT NULL,
    "status" TEXT NOT NULL DEFAULT 'ACTIVE',
    "expiresAt" DATETIME,
    "lastUsedAt" DATETIME,
    "createdBy" TEXT NOT NULL,
    "createdAt" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" DATETIME NOT NULL,
    CONSTRAINT "ApiKey_accountId_fkey" FOREIGN KEY ("accountId") REFERENCES "Account" ("id") ON DELETE CASCADE ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "TrustedCertificate" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "accountId" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "description" TEXT NOT NULL DEFAULT '',
    "certificate" BLOB NOT NULL,
    "fingerprint" TEXT NOT NULL,
    "subject" TEXT NOT NULL,
    "issuer" TEXT NOT NULL,
    "notBefore" DATETIME NOT NULL,
    "notAfter" DATETIME NOT NULL,
    "service" TEXT NOT NULL DEFAULT 'bootstrap',
    "status" TEXT NOT NULL DEFAULT 'ACTIVE',
    "developer" BOOLEAN NOT NULL DEFAULT false,
    "endpointName" TEXT,
    "privateKey" BLOB,
    "downloadedAt" DATETIME,
    "createdBy" TEXT NOT NULL,
    "createdAt" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" DATETIME NOT NULL,
    CONSTRAINT "TrustedCertificate_accountId_fkey" FOREIGN KEY ("accountId") REFERENCES "Account" ("id") ON DELETE CASCADE ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "Device" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "accountId" TEXT NOT NULL,
    "identity" TEXT NOT NULL,
    "endpointName" TEXT NOT NULL,
    "name" TEXT NOT NULL DEFAULT '',
    "description" TEXT NOT NULL DEFAULT '',
    "customAttributes" TEXT NOT NULL DEFAULT '{}',
    "endpointType" TEXT NOT NULL DEFAULT '',
    "state" TEXT NOT NULL DEFAULT 'unenrolled',
    "executionMode" INTEGER NOT NULL DEFAULT 0,
    "caId" TEXT,
    "bootstrapFingerprint" TEXT,
    "bootstrapExpirationDate" DATETIME,
    "deviceKey" TEXT,
    "connectorExpirationDate" DATETIME,
    "bootstrappedAt" DATETIME,
    "registeredAt" DATETIME,
    "lastSeenAt" DATETIME,
    "address" TEXT,
    "transport" TEXT,
    "rebootstrapPending" BOOLEAN NOT NULL DEFAULT false,
    "createdAt" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" DATETIME NOT NULL,
    CONSTRAINT "Device_accountId_fkey" FOREIGN KEY ("accountId") REFERENCES "Account" ("id") ON DELETE CASCADE ON UPDATE CASCADE,
    CONSTRAINT "Device_caId_fkey" FOREIGN KEY ("caId") REFERENCES "TrustedCertificate" ("id") ON DELETE SET NULL ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "Registration" (
    "deviceId" TEXT NOT NULL PRIMARY KEY,
    "id" TEXT NOT NULL,
    "accountId" TEXT NOT NULL,
    "endpointName" TEXT NOT NULL,
    "lifetime" INTEGER NOT NULL,
    "lwm2mVersion" TEXT NOT NULL,
    "binding" TEXT NOT NULL,
    "queueMode" BOOLEAN NOT NULL DEFAULT false,
    "rootPath" TEXT NOT NULL DEFAULT '/',
    "objectLinks" TEXT NOT NULL,
    "address" TEXT NOT NULL,
    "transport" TEXT NOT NULL,
    "registeredAt" DATETIME NOT NULL,
    "updatedAt" DATETIME NOT NULL,
    "expiresAt" DATETIME NOT NULL,
    CONSTRAINT "Registration_deviceId_fkey" FOREIGN KEY ("deviceId") REFERENCES "Device" ("id") ON DELETE CASCADE ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "ResourceValue" (
    "deviceId" TEXT NOT NULL,
    "path" TEXT NOT NULL,
    "value" TEXT NOT NULL,
    "at" DATETIME NOT NULL,
    "source" TEXT NOT NULL,

    PRIMARY KEY ("deviceId", "path"),
    CONSTRAINT "ResourceValue_deviceId_fkey" FOREIGN KEY ("deviceId") REFERENCES "Device" ("id") ON DELETE CASCADE ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "Observation" (
    "deviceId" TEXT NOT NULL,
    "path" TEXT NOT NULL,
    "createdAt" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,

    PRIMARY KEY ("deviceId", "path"),
    CONSTRAINT "Observation_deviceId_fkey" FOREIGN KEY ("deviceId") REFERENCES "Device" ("id") ON DELETE CASCADE ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "DeviceEvent" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "accountId" TEXT,
    "deviceId" TEXT,
    "type" TEXT NOT NULL,
    "category" TEXT NOT NULL,
    "outcome" TEXT NOT NULL,
    "description" TEXT NOT NULL,
    "data" TEXT NOT NULL DEFAULT '{}',
    "stateChange" BOOLEAN NOT NULL DEFAULT false,
    "actor" TEXT NOT NULL DEFAULT 'device',
    "at" DATETIME NOT NULL,
    CONSTRAINT "DeviceEvent_accountId_fkey" FOREIGN KEY ("accountId") REFERENCES "Account" ("id") ON DELETE CASCADE ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "DtlsSession" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "address" TEXT NOT NULL,
    "port" INTEGER NOT NULL,
    "state" BLOB NOT NULL,
    "reserved" BIGINT NOT NULL,
    "readTop" BIGINT NOT NULL,
    "lastUsedAt" DATETIME NOT NULL,
    "expiresAt" DATETIME NOT NULL
);

-- CreateIndex
CREATE UNIQUE INDEX "User_email_key" ON "User"("email");

-- CreateIndex
CREATE INDEX "User_accountId_idx" ON "User"("accountId");

-- CreateIndex
CREATE UNIQUE INDEX "ApiKey_hash_key" ON "ApiKey"("hash");

-- CreateIndex
CREATE INDEX "ApiKey_accountId_idx" ON "ApiKey"("accountId");

-- CreateIndex
CREATE UNIQUE INDEX "TrustedCertificate_fingerprint_key" ON "TrustedCertificate"("fingerprint");

-- CreateIndex
CREATE UNIQUE INDEX "TrustedCertificate_accountId_name_key" ON "TrustedCertificate"("accountId", "name");

-- CreateIndex
CREATE INDEX "Device_accountId_state_idx" ON "Device"("accountId", "state");

-- CreateIndex
CREATE INDEX "Device_accountId_lastSeenAt_idx" ON "Device"("accountId", "lastSeenAt");

-- CreateIndex
CREATE INDEX "Device_accountId_endpointName_idx" ON "Device"("accountId", "endpointName");

-- CreateIndex
CREATE INDEX "Device_caId_idx" ON "Device"("caId");

-- CreateIndex
CREATE UNIQUE INDEX "Device_accountId_identity_key" ON "Device"("accountId", "identity");

-- CreateIndex
CREATE INDEX "DeviceEvent_accountId_id_idx" ON "DeviceEvent"("accountId", "id");

-- CreateIndex
CREATE INDEX "DeviceEvent_deviceId_id_idx" ON "DeviceEvent"("deviceId", "id");

-- CreateIndex
CREATE INDEX "DtlsSession_expiresAt_idx" ON "DtlsSession"("expiresAt");
