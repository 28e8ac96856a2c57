"use client";
import { Award, Ban, CirclePlay, Ellipsis, Eraser, Power, RefreshCcw, Trash2 } from "lucide-react";
import { useRouter } from "next/navigation";
import { useState } from "react";
import { toast } from "sonner";
import {
  deleteDevice,
  factoryReset,
  reboot,
  rebootstrap,
  renewCertificate,
  resumeDevice,
} from "@/app/actions";
import type { OperationResult } from "@/server/bus/messages";
import type { ActionResult } from "@/server/portal/action";
import { sentence } from "../format";
import { Expiry } from "../status";
import { Button } from "../ui/button";
import { Confirm } from "../ui/dialog";
import { Menu, MenuItem, MenuSeparator } from "../ui/menu";
import { useAct } from "../use-act";
import { useData } from "../use-data";
import type { Device } from "./device-page";
import { Suspend } from "./suspend";

const NOTICE_MS = 10_000;

/** What can be done with the device as a whole; every dialog says what will happen. */
export function DeviceActions({ device, title }: { device: Device; title: string }) {
  const router = useRouter();
  const { act } = useAct();
  const overview = useData("overview", {});
  const [dialog, setDialog] = useState<string | null>(null);
  const dialogOf = (name: string) => ({
    open: dialog === name,
    onOpenChange: (open: boolean) => setDialog(open ? name : null),
  });

  const isDown = overview.data?.gateway === null;
  const abilities = device.abilities;
  const why = (ability: keyof typeof abilities) =>
    isDown ? "The gateway is down, so no device can be asked." : abilities[ability];

  /** The device's own answer becomes a notice, good or bad. */
  async function ask(what: string, done: string, call: () => Promise<ActionResult<OperationResult>>) {
    const result = await act(call, { stale: ["device", "devices", "events"] });
    if (!result) return false;
    const { ok, message } = result.data;
    const description = sentence(message);
    if (ok) toast.success(done, { description, duration: NOTICE_MS });
    else toast.error(`${what} did not work.`, { description, duration: NOTICE_MS });
    return true;
  }

  return (
    <div className="flex items-center gap-2">
      {device.suspension ? (
        <Button size="md" variant="primary" onClick={() => setDialog("resume")}>
          <CirclePlay aria-hidden />
          Resume
        </Button>
      ) : (
        <Button size="md" onClick={() => setDialog("rebootstrap")}>
          <RefreshCcw aria-hidden />
          Re-bootstrap
        </Button>
      )}
      <Menu
        trigger={
          <Button size="icon" className="size-9" aria-label="More">
            <Ellipsis aria-hidden />
          </Button>
        }
      >
        <MenuItem unavailable={why("reboot")} onSelect={() => setDialog("reboot")}>
          <Power aria-hidden />
          Reboot
        </MenuItem>
        {abilities.renewCertificate === null ? (
          <MenuItem unavailable={why("renewCertificate")} onSelect={() => setDialog("renew")}>
            <Award aria-hidden />
            Renew certificate
          </MenuItem>
        ) : null}
        <MenuItem unavailable={why("factoryReset")} danger onSelect={() => setDialog("reset")}>
          <Eraser aria-hidden />
          Factory reset
        </MenuItem>
        <MenuSeparator />
        {device.suspension ? null : (
          <MenuItem danger onSelect={() => setDialog("suspend")}>
            <Ban aria-hidden />
            Suspend
          </MenuItem>
        )}
        <MenuItem danger onSelect={() => setDialog("delete")}>
          <Trash2 aria-hidden />
          Delete device
        </MenuItem>
      </Menu>

      <Suspend device={device} title={title} {...dialogOf("suspend")} />
      <Confirm
        {...dialogOf("resume")}
        title={`Resume “${title}”?`}
        action="Resume"
        harmless
        onConfirm={async () =>
          (await act(() => resumeDevice({ id: device.id, category: device.suspension?.category ?? "" }), {
            stale: ["device", "devices", "events"],
            done: `“${title}” is let in again.`,
          })) !== null
        }
      >
        <p>
          It is let in again the next time that it tries. A device that was turned away waits longer and
          longer between its tries, so it may take a while until it is back.
        </p>
      </Confirm>
      <Confirm
        {...dialogOf("rebootstrap")}
        title={`Have “${title}” bootstrap again?`}
        action="Re-bootstrap"
        harmless
        onConfirm={async () => {
          const result = await act(() => rebootstrap({ id: device.id }), { stale: ["device", "events"] });
          if (result)
            toast.success(
              result.data.way === "execute"
                ? "The device was told to bootstrap again."
                : "Its next registration will be refused, so that it bootstraps again.",
              { description: sentence(result.data.message), duration: NOTICE_MS },
            );
          return result !== null;
        }}
      >
        <p>
          It gets a new LwM2M certificate and keeps its ID, its name and its timeline. It is out of reach for
          the seconds that this takes.
        </p>
        <p>
          A device with the Bootstrap-Request Trigger (<code className="font-mono text-xs">/1/0/9</code>) is
          told directly; any other one has its next registration refused, so that it falls back to bootstrap.
          You will see which.
        </p>
      </Confirm>
      <Confirm
        {...dialogOf("reboot")}
        title={`Reboot “${title}”?`}
        action="Reboot"
        harmless
        onConfirm={() => ask("The reboot", "The device was told to reboot.", () => reboot({ id: device.id }))}
      >
        <p>
          It is out of reach until it has started and registered again. It keeps its credentials and its
          settings.
        </p>
      </Confirm>
      <Confirm
        {...dialogOf("renew")}
        title={`Renew the certificate of “${title}”?`}
        action="Renew certificate"
        harmless
        onConfirm={() =>
          ask("The renewal", "The certificate is renewed.", () => renewCertificate({ id: device.id }))
        }
      >
        <p>
          It makes a new key and gets a new LwM2M certificate for it, which takes a few seconds. It stays
          registered, and uses the new one from its next handshake on.
        </p>
        {device.connectorExpirationDate ? (
          <p>
            The certificate that it holds now expires <Expiry notAfter={device.connectorExpirationDate} />.
          </p>
        ) : null}
      </Confirm>
      <Confirm
        {...dialogOf("reset")}
        title={`Reset “${title}” to factory state?`}
        action="Factory reset"
        onConfirm={() =>
          ask("The factory reset", "The device was told to reset itself.", () =>
            factoryReset({ id: device.id }),
          )
        }
      >
        <p>
          It forgets its LwM2M credentials, its device ID and its settings. It bootstraps anew at once, or
          when it is started the next time.
        </p>
        {device.keepsIdAfterReset ? (
          <p>
            It is known by its endpoint name, so it keeps <strong>its ID</strong>, its name and its timeline
            here.
          </p>
        ) : (
          <p>
            It shares its developer certificate with other devices, so it comes back as a new device with{" "}
            <strong>another ID</strong>. This entry stays behind with its name and its timeline, until you
            delete it.
          </p>
        )}
      </Confirm>
      <Confirm
        {...dialogOf("delete")}
        title={`Delete “${title}”?`}
        action="Delete device"
        onConfirm={async () => {
          const result = await act(() => deleteDevice({ id: device.id }), {
            stale: ["devices", "overview"],
            done: `“${title}” is deleted.`,
          });
          if (result) router.push("/devices");
          return result !== null;
        }}
      >
        <p>
          Its registration ends, its values and observations are deleted, and its LwM2M certificate is no
          longer accepted.
        </p>
        <p>
          As long as its bootstrap certificate is trusted it can come back, as a new device with{" "}
          <strong>another ID</strong>. To keep it out, delete that certificate.
        </p>
      </Confirm>
    </div>
  );
}
