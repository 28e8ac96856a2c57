"use client";
import { Award, Download, Ellipsis, Terminal, Trash2 } from "lucide-react";
import Link from "next/link";
import { useState } from "react";
import { deleteCertificate } from "@/app/actions";
import type { QueryOutput } from "@/server/portal/queries";
import { bundleName } from "@/server/services/certificates/bundle-name";
import { day, plural, shortFingerprint } from "../format";
import { LoadError } from "../load-error";
import { Badge, Expiry } from "../status";
import { Ago } from "../time";
import { Button } from "../ui/button";
import { cn } from "../ui/cn";
import { CopyButton } from "../ui/copy";
import { Confirm, Dialog } from "../ui/dialog";
import { Menu, MenuItem, MenuSeparator } from "../ui/menu";
import { EmptyState, LoadingRows, Panel } from "../ui/panel";
import { useAct } from "../use-act";
import { useData } from "../use-data";
import { CreateCertificateButton } from "./certificate-dialogs";
import { DownloadBundle } from "./download-bundle";
import { RunDevice } from "./run-device";

type Certificate = QueryOutput<"certificates">[number];

export function CertificateList() {
  const { data, error, refetch } = useData("certificates", {});
  if (error && !data) return <LoadError message={error.message} retry={() => void refetch()} />;
  if (!data) return <LoadingRows />;
  if (data.length === 0)
    return (
      <Panel>
        <EmptyState
          icon={<Award />}
          title="No developer certificate yet"
          action={<CreateCertificateButton label="Make the first certificate" />}
        >
          It is the first thing a device needs. You get it as one file, with the commands to run already
          filled in.
        </EmptyState>
      </Panel>
    );
  return (
    <ul className="grid gap-3">
      {data.map((certificate) => (
        <Item key={certificate.id} certificate={certificate} />
      ))}
    </ul>
  );
}

function Item({ certificate }: { certificate: Certificate }) {
  const { act } = useAct();
  const [dialog, setDialog] = useState<"download" | "commands" | "delete" | null>(null);
  const close = (open: boolean) => setDialog(open ? dialog : null);
  const { name, description, fingerprint, devicesUsed, deviceLimit } = certificate;
  return (
    <li>
      <Panel
        className="grid gap-4 p-4 lg:grid-cols-[minmax(0,1fr)_10rem_8rem_10.5rem] lg:items-center lg:gap-8"
        aria-label={name}
      >
        <div className="min-w-0">
          <div className="flex flex-wrap items-center gap-x-2.5 gap-y-1">
            <h2 className="truncate font-medium">{name}</h2>
            {certificate.downloadable ? <Badge tone="warn">Not downloaded</Badge> : null}
            {certificate.status === "ACTIVE" ? null : (
              <Badge tone="bad">{certificate.status.toLowerCase()}</Badge>
            )}
          </div>
          {description ? <p className="line-clamp-2 text-muted text-sm">{description}</p> : null}
          <div className="mt-1 flex flex-wrap items-center gap-x-3 text-muted text-xs">
            <span className="inline-flex items-center gap-0.5">
              <span>SHA-256</span>
              <span className="ml-1 font-mono" title={fingerprint}>
                {shortFingerprint(fingerprint)}
              </span>
              <CopyButton text={fingerprint} label={`Copy the fingerprint of ${name}`} />
            </span>
            <span>
              Made <Ago at={certificate.createdAt} /> by {certificate.createdBy.replace(/^user:/, "")}
            </span>
          </div>
        </div>
        <Usage used={devicesUsed} limit={deviceLimit} />
        <div className="flex items-baseline justify-between gap-2 text-sm lg:block">
          <p className="text-muted text-xs">Expires</p>
          <p title={day(certificate.notAfter)}>
            <Expiry notAfter={certificate.notAfter} />
          </p>
        </div>
        <div className="flex items-center gap-2 lg:justify-end">
          {certificate.downloadable ? (
            <Button
              variant="primary"
              className="max-lg:h-9 max-lg:flex-1"
              onClick={() => setDialog("download")}
            >
              <Download aria-hidden />
              Download
            </Button>
          ) : (
            <Button className="max-lg:h-9 max-lg:flex-1" onClick={() => setDialog("commands")}>
              <Terminal aria-hidden />
              Commands
            </Button>
          )}
          <Menu
            trigger={
              <Button variant="ghost" size="icon" aria-label={`More for ${name}`}>
                <Ellipsis aria-hidden />
              </Button>
            }
          >
            <MenuItem onSelect={() => setDialog("commands")}>
              <Terminal aria-hidden />
              Show the commands
            </MenuItem>
            <MenuSeparator />
            <MenuItem danger onSelect={() => setDialog("delete")}>
              <Trash2 aria-hidden />
              Delete
            </MenuItem>
          </Menu>
        </div>
      </Panel>

      {dialog === "download" ? <DownloadBundle certificate={certificate} open onOpenChange={close} /> : null}
      <Dialog
        open={dialog === "commands"}
        onOpenChange={close}
        wide
        title={`Run a device with “${name}”`}
        description={
          certificate.downloadable
            ? "These need the bundle, which has not been downloaded yet."
            : "These need the bundle, which was downloaded already and exists only where it was saved."
        }
      >
        <RunDevice bundle={bundleName(name)} endpointName={certificate.endpointName} />
      </Dialog>
      <Confirm
        open={dialog === "delete"}
        onOpenChange={close}
        title={`Delete “${name}”?`}
        action="Delete certificate"
        onConfirm={async () =>
          (await act(() => deleteCertificate({ id: certificate.id }), {
            stale: ["certificates", "overview", "devices"],
            done: `“${name}” is deleted.`,
          })) !== null
        }
      >
        <p>
          From now on no device can bootstrap with it, and sessions that rest on it end.{" "}
          {devicesUsed > 0 ? (
            <>
              <strong>{plural(devicesUsed, "device")}</strong> came in by it: they stay in the{" "}
              <Link href="/devices" className="text-accent underline underline-offset-2">
                directory
              </Link>{" "}
              and go on with the LwM2M certificate they have until that expires.
            </>
          ) : (
            "No device has used it yet."
          )}
        </p>
        {certificate.downloadable ? (
          <p>Its bundle was never downloaded; the private key is lost with it.</p>
        ) : null}
      </Confirm>
    </li>
  );
}

function Usage({ used, limit }: { used: number; limit: number }) {
  const share = Math.min(1, used / limit);
  return (
    <div className="text-sm">
      <p className="flex justify-between text-xs">
        <span className="text-muted">Devices</span>
        <span className="tabular">
          {used} / {limit}
        </span>
      </p>
      {/* A meter element cannot be coloured alike in all browsers; the words above say the same. */}
      <div aria-hidden className="mt-1.5 h-1.5 overflow-hidden rounded-full bg-sunken">
        <div
          className={cn("h-full rounded-full", share >= 1 ? "bg-bad" : share > 0.8 ? "bg-warn" : "bg-accent")}
          style={{ width: `${used > 0 ? Math.max(3, share * 100) : 0}%` }}
        />
      </div>
    </div>
  );
}
