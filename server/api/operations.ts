import { accounts, limitations } from "./accounts/routes";
import { accountTwins } from "./accounts/twins";
import { apiKeys } from "./api-keys/routes";
import { accessKeys, applications } from "./applications/routes";
import { auditLog } from "./audit-log/routes";
import { developerCertificates } from "./developer-certificates/routes";
import { deviceEvents } from "./device-events/routes";
import { deviceLogs } from "./device-logs/routes";
import { deviceRequests } from "./device-requests/routes";
import { devices } from "./devices/routes";
import { echoes } from "./echo/routes";
import { endpointResources } from "./endpoints/resources";
import { endpoints } from "./endpoints/routes";
import type { Operation } from "./operation";
import { policyGroups } from "./policy-groups/routes";
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
  ...deviceLogs,
  ...echoes,
  ...endpoints,
  ...endpointResources,
  ...deviceRequests,
  ...subscriptions,
  ...developerCertificates,
  ...accounts,
  ...auditLog,
  ...governed,
  ...accountTwins(governed),
];
