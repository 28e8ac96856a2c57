import { accounts } from "./accounts/routes";
import { apiKeys } from "./api-keys/routes";
import { developerCertificates } from "./developer-certificates/routes";
import { deviceEvents } from "./device-events/routes";
import { devices } from "./devices/routes";
import { endpoints } from "./endpoints/routes";
import type { Operation } from "./operation";
import { policyGroups } from "./policy-groups/routes";
import { trustedCertificates } from "./trusted-certificates/routes";
import { users } from "./users/routes";

/** Everything that is served; where two paths fit, a word wins over a parameter. */
export const operations: readonly Operation[] = [
  ...devices,
  ...deviceEvents,
  ...endpoints,
  ...developerCertificates,
  ...trustedCertificates,
  ...apiKeys,
  ...accounts,
  ...users,
  ...policyGroups,
];
