"use server";
import { z } from "zod";
import { type ActionResult, action, invalid, run } from "@/server/portal/action";
import { contextFor } from "@/server/portal/context";
import { runtime } from "@/server/portal/runtime";
import {
  createAccount,
  createAccountInput,
  updateAccount,
  updateAccountInput,
} from "@/server/services/accounts/manage";
import { updateAccountSettings, updateAccountSettingsInput } from "@/server/services/accounts/settings";
import { createApiKey, createApiKeyInput } from "@/server/services/api-keys/create";
import { removeApiKey, removeApiKeyInput } from "@/server/services/api-keys/remove";
import {
  resetApiKeySecret,
  resetApiKeySecretInput,
  updateApiKey,
  updateApiKeyInput,
} from "@/server/services/api-keys/update";
import {
  createAccessKey,
  createAccessKeyInput,
  removeAccessKey,
  removeAccessKeyInput,
  updateAccessKey,
  updateAccessKeyInput,
} from "@/server/services/applications/access-keys";
import {
  createApplication,
  createApplicationInput,
  removeApplication,
  removeApplicationInput,
  updateApplication,
  updateApplicationInput,
} from "@/server/services/applications/change";
import {
  createDeveloperCertificate,
  createDeveloperCertificateInput,
} from "@/server/services/certificates/create-developer";
import { removeCertificate, removeCertificateInput } from "@/server/services/certificates/remove";
import { takeBundle } from "@/server/services/certificates/take-bundle";
import { removeAccountChannel, removeAccountChannelInput } from "@/server/services/channels/remove";
import { createDeviceGroup, createDeviceGroupInput } from "@/server/services/device-groups/create";
import { addGroupMember, groupMemberInput, removeGroupMember } from "@/server/services/device-groups/members";
import { removeDeviceGroup, removeDeviceGroupInput } from "@/server/services/device-groups/remove";
import { updateDeviceGroup, updateDeviceGroupInput } from "@/server/services/device-groups/update";
import { executeResource, executeResourceInput } from "@/server/services/devices/execute-resource";
import { factoryResetDevice, factoryResetDeviceInput } from "@/server/services/devices/factory-reset";
import { observeResource, observeResourceInput } from "@/server/services/devices/observe-resource";
import { readResource, readResourceInput } from "@/server/services/devices/read-resource";
import { rebootDevice, rebootDeviceInput } from "@/server/services/devices/reboot";
import { rebootstrapDevice, rebootstrapDeviceInput } from "@/server/services/devices/rebootstrap";
import { removeDevice, removeDeviceInput } from "@/server/services/devices/remove";
import {
  renewDeviceCertificate,
  renewDeviceCertificateInput,
} from "@/server/services/devices/renew-certificate";
import { unobserveResource, unobserveResourceInput } from "@/server/services/devices/unobserve-resource";
import { updateDevice, updateDeviceInput } from "@/server/services/devices/update";
import { writeResource, writeResourceInput } from "@/server/services/devices/write-resource";
import { createEnrollment, createEnrollmentInput } from "@/server/services/enrollments/create";
import { removeEnrollment, removeEnrollmentInput } from "@/server/services/enrollments/remove";
import { createFirstAdministrator, createFirstAdministratorInput } from "@/server/services/instance/setup";
import { deviceUris } from "@/server/services/instance/uris";
import {
  resumeDevice as resume,
  suspendDevice as suspend,
  suspensionInput,
} from "@/server/services/suspension/suspend";
import { createUser, createUserInput } from "@/server/services/users/create";
import { acceptInvitation, acceptInvitationInput } from "@/server/services/users/invitations";
import { removeUser, removeUserInput } from "@/server/services/users/remove";
import { updateUser, updateUserInput } from "@/server/services/users/update";

// The set-up link stands for the session that nobody can have yet.
export async function makeFirstAdministrator(input: {
  token: string;
  email: string;
  password: string;
  name: string;
  accountName: string;
}): Promise<ActionResult<null>> {
  const schema = createFirstAdministratorInput.extend({ token: z.string().max(100) });
  const parsed = schema.safeParse(input);
  if (!parsed.success) return { error: invalid(parsed.error) };
  return run(async () => {
    await createFirstAdministrator(contextFor({ kind: "system" }), parsed.data);
    return null;
  });
}

// So does an invitation.
export async function followInvitation(
  input: z.input<typeof acceptInvitationInput>,
): Promise<ActionResult<null>> {
  const parsed = acceptInvitationInput.safeParse(input);
  if (!parsed.success) return { error: invalid(parsed.error) };
  return run(async () => {
    await acceptInvitation(contextFor({ kind: "system" }), parsed.data);
    return null;
  });
}

export const makeUser = action(createUserInput, createUser);
export const changeUser = action(updateUserInput, updateUser);
export const deleteUser = action(removeUserInput, removeUser);

export const makeAccount = action(createAccountInput, createAccount);
export const changeAccount = action(updateAccountInput, updateAccount);

export const makeCertificate = action(createDeveloperCertificateInput, createDeveloperCertificate);
export const deleteCertificate = action(removeCertificateInput, removeCertificate);
export const takeCertificateBundle = action(removeCertificateInput, async (ctx, { id }) =>
  takeBundle(ctx, { id, uris: await deviceUris(ctx, runtime().config) }),
);

export const makeKey = action(createApiKeyInput, createApiKey);
export const changeKey = action(updateApiKeyInput, updateApiKey);
export const renewKeySecret = action(resetApiKeySecretInput, resetApiKeySecret);
export const deleteKey = action(removeApiKeyInput, removeApiKey);

export const makeApplication = action(createApplicationInput, createApplication);
export const changeApplication = action(updateApplicationInput, updateApplication);
export const deleteApplication = action(removeApplicationInput, removeApplication);
export const makeAccessKey = action(createAccessKeyInput, createAccessKey);
export const changeAccessKey = action(updateAccessKeyInput, updateAccessKey);
export const deleteAccessKey = action(removeAccessKeyInput, removeAccessKey);

export const deleteChannel = action(removeAccountChannelInput, removeAccountChannel);

export const changeSettings = action(updateAccountSettingsInput, updateAccountSettings);

export const claimDevice = action(createEnrollmentInput, createEnrollment);
export const giveUpClaim = action(removeEnrollmentInput, removeEnrollment);

export const makeGroup = action(createDeviceGroupInput, createDeviceGroup);
export const changeGroup = action(updateDeviceGroupInput, updateDeviceGroup);
export const deleteGroup = action(removeDeviceGroupInput, removeDeviceGroup);
export const joinGroup = action(groupMemberInput, addGroupMember);
export const leaveGroup = action(groupMemberInput, removeGroupMember);

export const suspendDevice = action(suspensionInput, suspend);
export const resumeDevice = action(suspensionInput, resume);
export const changeDevice = action(updateDeviceInput, updateDevice);
export const deleteDevice = action(removeDeviceInput, removeDevice);
export const rebootstrap = action(rebootstrapDeviceInput, rebootstrapDevice);
export const reboot = action(rebootDeviceInput, rebootDevice);
export const factoryReset = action(factoryResetDeviceInput, factoryResetDevice);
export const renewCertificate = action(renewDeviceCertificateInput, renewDeviceCertificate);
export const readPath = action(readResourceInput, readResource);
export const writePath = action(writeResourceInput, writeResource);
export const executePath = action(executeResourceInput, executeResource);
export const observePath = action(observeResourceInput, observeResource);
export const unobservePath = action(unobserveResourceInput, unobserveResource);
