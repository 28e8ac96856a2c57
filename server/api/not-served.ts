/** Operations of Pelion's API that are known and not served, and why; docs/rest-api.md shows the same table. */
export const notServed: readonly { title: string; reason: string; operations: readonly string[] }[] = [
  {
    title: "Pre-shared keys",
    reason: "Devices come with certificates; pre-shared keys are not supported.",
    operations: ["GET,POST /v2/device-shared-keys", "GET,DELETE /v2/device-shared-keys/{endpoint_name}"],
  },
  {
    title: "Certificate issuers",
    reason: "Certificates are issued by the instance’s own CA; other issuers cannot be connected.",
    operations: [
      "POST /v3/certificate-issuer-configurations",
      "DELETE /v3/certificate-issuer-configurations/{certificate-issuer-configuration-id}",
      "POST /v3/certificate-issuers",
      "GET,PUT,DELETE /v3/certificate-issuers/{certificate-issuer-id}",
      "POST /v3/certificate-issuers/{certificate-issuer-id}/verify",
    ],
  },
  {
    title: "Policy groups",
    reason:
      "There are two policy groups, Administrators and Developers; what a key may do beside that is set by its scopes.",
    operations: [
      "POST /v3/policy-groups",
      "PUT,DELETE /v3/policy-groups/{group_id}",
      "POST /v3/accounts/{account_id}/policy-groups",
      "PUT,DELETE /v3/accounts/{account_id}/policy-groups/{group_id}",
    ],
  },
  {
    title: "Mail",
    reason: "No mail is sent: links of invitations are handed on by whoever makes them.",
    operations: [
      "GET /v3/accounts/me/notifications",
      "GET /v3/accounts/me/notifications/{notification_id}",
      "POST /v3/accounts/{account_id}/users/{user_id}/validate-email",
    ],
  },
  {
    title: "Update",
    reason: "Firmware campaigns are not part of this version.",
    operations: [
      "GET,POST /v3/firmware-images",
      "GET,POST /v3/firmware-images/upload-jobs",
      "GET,PUT,DELETE /v3/firmware-images/upload-jobs/{upload_job_id}",
      "GET,POST /v3/firmware-images/upload-jobs/{upload_job_id}/chunks",
      "GET /v3/firmware-images/upload-jobs/{upload_job_id}/chunks/{chunk_id}",
      "GET,DELETE /v3/firmware-images/{image_id}",
      "GET,POST /v3/firmware-manifests",
      "GET,DELETE /v3/firmware-manifests/{manifest_id}",
      "GET,POST /v3/update-campaigns",
      "GET,PUT,DELETE /v3/update-campaigns/{campaign_id}",
      "POST /v3/update-campaigns/{campaign_id}/archive",
      "GET /v3/update-campaigns/{campaign_id}/campaign-device-metadata",
      "GET /v3/update-campaigns/{campaign_id}/campaign-device-metadata/{campaign_device_metadata_id}",
      "GET /v3/update-campaigns/{campaign_id}/metrics",
      "POST /v3/update-campaigns/{campaign_id}/start",
      "GET /v3/update-campaigns/{campaign_id}/statistics",
      "GET /v3/update-campaigns/{campaign_id}/statistics/{summary_status_id}",
      "GET /v3/update-campaigns/{campaign_id}/statistics/{summary_status_id}/event_types",
      "GET /v3/update-campaigns/{campaign_id}/statistics/{summary_status_id}/event_types/{event_type_id}",
      "POST /v3/update-campaigns/{campaign_id}/stop",
    ],
  },
  {
    title: "Statistics and billing",
    reason: "There is nothing to bill.",
    operations: [
      "GET /v3/billing-report",
      "GET /v3/billing-report-active-devices",
      "GET /v3/billing-report-firmware-updates",
      "GET /v3/billing-statistics",
      "GET /v3/metrics",
      "GET /v3/service-packages",
      "GET /v3/service-packages-quota",
      "GET /v3/service-packages-quota-history",
    ],
  },
];

const literal = (text: string) => text.replace(/[.*+?^$()|[\]\\]/g, "\\$&");

const patterns = notServed.flatMap(({ reason, operations }) =>
  operations.map((operation) => {
    const [methods = "", path = ""] = operation.split(" ");
    // The path of a resource has any number of segments; every other parameter has one.
    const pattern = literal(path)
      .replace("{resourcePath}", ".+")
      .replace(/\{[^}]+\}/g, "[^/]+");
    return { methods: methods.split(","), pattern: new RegExp(`^${pattern}$`), reason };
  }),
);

/** Why this operation is not served; null for what Pelion does not have either. */
export function whyNotServed(method: string, path: string): string | null {
  return (
    patterns.find(({ methods, pattern }) => methods.includes(method) && pattern.test(path))?.reason ?? null
  );
}
