"use client";
import { Check } from "lucide-react";
import Link from "next/link";
import type { ReactNode } from "react";
import type { QueryOutput } from "@/server/portal/queries";
import { bundleName } from "@/server/services/certificates/bundle-name";
import { CreateCertificateButton, useCertificateDialogs } from "../certificates/certificate-dialogs";
import { RunDevice } from "../certificates/run-device";
import { Button } from "../ui/button";
import { cn } from "../ui/cn";
import { Panel } from "../ui/panel";
import { useData } from "../use-data";

/** The way of the first device; every step looks at what has really happened. */
export function FirstDevice({ overview }: { overview: QueryOutput<"overview"> }) {
  const certificates = useData("certificates", {});
  const devices = useData("devices", { sort: "created", order: "desc", pageSize: 1 });
  const dialogs = useCertificateDialogs();
  const own = certificates.data?.filter((certificate) => certificate.developer) ?? [];
  const waiting = own.find((certificate) => certificate.downloadable);
  const taken = own.find((certificate) => !certificate.downloadable);
  const { counts } = overview;
  const contacted = overview.total > counts.unenrolled;
  const bootstrapped = counts.bootstrapped + counts.registered + counts.deregistered > 0;
  const device = devices.data?.rows[0];

  const done = [
    own.length > 0,
    taken !== undefined || contacted,
    contacted,
    bootstrapped,
    counts.registered > 0,
  ];
  const current = done.findIndex((step) => !step);
  const certificate = taken ?? waiting;

  return (
    <Panel>
      <ol>
        <Step title="Make a developer certificate" done={done[0]} current={current === 0} number={1}>
          <p>It is how a device proves that it is yours. One serves up to 100 devices.</p>
          <CreateCertificateButton label="Make the first certificate" />
        </Step>
        <Step title="Download its bundle" done={done[1]} current={current === 1} number={2}>
          <p>
            One zip file with the certificate, its private key and where to connect. It can be downloaded
            once.
          </p>
          {waiting ? (
            <Button variant="primary" size="md" onClick={() => dialogs.download(waiting)}>
              Download “{waiting.name}”
            </Button>
          ) : null}
        </Step>
        <Step title="Run a device with it" done={done[2]} current={current === 2} number={3}>
          <p>
            Waiting for the first contact. No hardware at hand? The reference device runs anywhere Node.js
            does.
          </p>
          <RunDevice
            bundle={bundleName(certificate?.name ?? "")}
            endpointName={certificate?.endpointName ?? null}
          />
          <p className="text-xs">
            Nothing happens? A device that was turned away stands under{" "}
            <Link href="/knocks" className="text-accent underline underline-offset-2">
              Knocks
            </Link>
            , with the reason.
          </p>
        </Step>
        <Step title="It bootstraps" done={done[3]} current={current === 3} number={4}>
          <p>
            It gets its own LwM2M certificate and the address of the LwM2M server. This takes a second or two.
          </p>
        </Step>
        <Step title="It registers" done={done[4]} current={current === 4} number={5}>
          <p>Then its resources can be read, written and observed.</p>
          {device ? (
            <Button asChild size="md">
              <Link href={`/devices/${device.id}`}>Open the device</Link>
            </Button>
          ) : null}
        </Step>
      </ol>
    </Panel>
  );
}

function Step({
  title,
  number,
  done,
  current,
  children,
}: {
  title: string;
  number: number;
  done: boolean | undefined;
  current: boolean;
  children: ReactNode;
}) {
  return (
    <li
      aria-current={current ? "step" : undefined}
      className="grid grid-cols-[1.5rem_minmax(0,1fr)] gap-x-3.5 border-line px-4 py-4 not-last:border-b md:px-5"
    >
      <span
        className={cn(
          "tabular grid size-6 place-items-center rounded-full font-medium text-xs",
          done ? "bg-ok-soft text-ok" : current ? "bg-accent text-on-accent" : "bg-sunken text-muted",
        )}
      >
        {done ? <Check className="size-3.5" strokeWidth={3} aria-hidden /> : number}
        <span className="sr-only">{done ? "Done: " : ""}</span>
      </span>
      <div className="min-w-0">
        <h2 className={cn("text-base leading-6", current || done ? "font-medium" : "text-muted")}>{title}</h2>
        {current ? (
          <div className="mt-1.5 grid animate-fade justify-items-start gap-3 text-muted text-sm [&>div]:w-full [&>div]:text-ink">
            {children}
          </div>
        ) : null}
      </div>
    </li>
  );
}
