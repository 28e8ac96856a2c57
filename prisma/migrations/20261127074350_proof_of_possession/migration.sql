-- AlterTable
ALTER TABLE "TrustedCertificate" ADD COLUMN "provenAt" DATETIME;

-- Who trusts a CA for itself already goes on: nobody else could since.
UPDATE "TrustedCertificate" SET "provenAt" = "createdAt" WHERE NOT "developer" AND NOT "enrollmentMode";
