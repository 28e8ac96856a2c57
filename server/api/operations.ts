import { accounts } from "./accounts/routes";
import { apiKeys } from "./api-keys/routes";
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
import { users } from "./users/routes";

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
  ...trustedCertificates,
  ...apiKeys,
  ...accounts,
  ...users,
  ...policyGroups,
];
