import { accounts, limitations } from "./accounts/routes";
import { accountTwins } from "./accounts/twins";
import { apiKeys } from "./api-keys/routes";
import { accessKeys, applications } from "./applications/routes";
import { auditLog } from "./audit-log/routes";
import { certificateEnrollments } from "./certificate-enrollments/routes";
import { certificateIssuers } from "./certificate-issuers/routes";
import { developerCertificates } from "./developer-certificates/routes";
import { deviceEnrollments } from "./device-enrollments/routes";
import { deviceEvents } from "./device-events/routes";
import { deviceGroups } from "./device-groups/routes";
import { deviceLogs } from "./device-logs/routes";
import { deviceQueries } from "./device-queries/routes";
import { deviceRequests } from "./device-requests/routes";
import { deviceSuspension } from "./device-suspension/routes";
import { devices } from "./devices/routes";
import { echoes } from "./echo/routes";
import { endpointResources } from "./endpoints/resources";
import { endpoints } from "./endpoints/routes";
import { notification } from "./notification/routes";
import type { Operation } from "./operation";
import { policyGroups } from "./policy-groups/routes";
import { serverCredentials } from "./server-credentials/routes";
import { subscriptions } from "./subscriptions/routes";
import { trustedCertificates } from "./trusted-certificates/routes";
import { invitations, users } from "./users/routes";

/** What an account consists of beside its devices: also served as /v3/accounts/{account_id}/…. */
const governed: readonly Operation[] = [
  ...trustedCertificates,
  ...apiKeys,
  ...applications,
  ...accessKeys,
  ...users,
  ...invitations,
  ...policyGroups,
  ...limitations,
];

/** Everything that is served; where two paths fit, a word wins over a parameter. */
export const operations: readonly Operation[] = [
  ...devices,
  ...deviceEvents,
  ...deviceGroups,
  ...deviceQueries,
  ...deviceSuspension,
  ...deviceEnrollments,
  ...deviceLogs,
  ...echoes,
  ...endpoints,
  ...notification,
  ...endpointResources,
  ...deviceRequests,
  ...subscriptions,
  ...developerCertificates,
  ...certificateEnrollments,
  ...certificateIssuers,
  ...serverCredentials,
  ...accounts,
  ...auditLog,
  ...governed,
  ...accountTwins(governed),
];
