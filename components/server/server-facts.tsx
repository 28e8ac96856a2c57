"use client";
import { Download, TriangleAlert } from "lucide-react";
import { day } from "../format";
import { LoadError } from "../load-error";
import { Badge, Expiry } from "../status";
import { Ago } from "../time";
import { Button } from "../ui/button";
import { CodeBlock, Copyable, CopyButton } from "../ui/copy";
import { LoadingRows, Notice, Panel } from "../ui/panel";
import { useData } from "../use-data";

export function ServerFacts() {
  const { data, error, refetch } = useData("server", {}, { everyMs: 15_000 });
  if (!data)
    return error ? <LoadError message={error.message} retry={() => void refetch()} /> : <LoadingRows />;
  const { gateway, uris } = data;
  const addresses = [
    ["Bootstrap, DTLS over UDP", uris.bootstrap.udp],
    ["Bootstrap, TLS over TCP", uris.bootstrap.tcp],
    ["LwM2M, DTLS over UDP", uris.lwm2m.udp],
    ["LwM2M, TLS over TCP", uris.lwm2m.tcp],
  ] as const;
  return (
    <div className="grid gap-5">
      {data.publicHostIsLocal ? (
        <Notice tone="warn" icon={<TriangleAlert aria-hidden />}>
          Devices are told “{data.publicHost}”, which only works on this machine. Start with
          GANGWAY_PUBLIC_HOST set to a name or address that they can reach; then download new bundles.
        </Notice>
      ) : null}
      {data.insecureCoap ? (
        <Notice tone="warn" icon={<TriangleAlert aria-hidden />}>
          Plain coap and coap+tcp are open (GANGWAY_INSECURE_COAP): whoever reaches these ports can pretend to
          be a device.
        </Notice>
      ) : null}

      <Panel
        title="Addresses"
        description="A device needs only the bootstrap address; it learns the other one there. What follows the question mark is for Pelion’s client."
      >
        <dl className="divide-y divide-line">
          {addresses.map(([name, uri]) => (
            <div
              key={uri}
              className="grid gap-x-4 px-4 py-2.5 sm:grid-cols-[15rem_minmax(0,1fr)] sm:items-center"
            >
              <dt className="text-muted text-sm">{name}</dt>
              <dd>
                <Copyable text={uri} label={name} />
              </dd>
            </div>
          ))}
        </dl>
      </Panel>

      <Panel
        title="Gateway"
        description="The process that devices talk to."
        actions={gateway ? <Badge tone="ok">Up</Badge> : <Badge tone="bad">Down</Badge>}
      >
        {gateway ? (
          <>
            <dl className="grid grid-cols-2 gap-4 px-4 py-3 text-sm sm:grid-cols-4">
              <div>
                <dt className="text-muted text-xs">Started</dt>
                <dd>
                  <Ago at={gateway.startedAt} />
                </dd>
              </div>
              <div>
                <dt className="text-muted text-xs">Registrations</dt>
                <dd className="tabular">{gateway.registrations.toLocaleString("en")}</dd>
              </div>
              <div>
                <dt className="text-muted text-xs">Open sessions</dt>
                <dd className="tabular">{gateway.peers.toLocaleString("en")}</dd>
              </div>
              <div>
                <dt className="text-muted text-xs">Version</dt>
                <dd className="tabular">{data.version}</dd>
              </div>
            </dl>
            <ul className="divide-y divide-line border-line border-t">
              {gateway.listeners.map(({ service, uri }) => (
                <li
                  key={`${service} ${uri}`}
                  className="flex flex-wrap items-center justify-between gap-x-4 px-4 py-2 text-sm"
                >
                  <span className="min-w-0 break-all font-mono text-xs">{uri}</span>
                  <span className="text-muted text-xs">
                    listening for {service === "bootstrap" ? "bootstrap" : "LwM2M"}
                  </span>
                </li>
              ))}
            </ul>
          </>
        ) : (
          <p className="px-4 py-3 text-muted text-sm">
            It does not answer. No device can bootstrap or register until it is started again; npm start does
            that by itself.
          </p>
        )}
      </Panel>

      <Panel
        title="Server CA"
        description="The certificate that devices check this instance against. It is in every bundle already."
        actions={
          <Button asChild>
            <a href="/server/ca.pem" download="gangway-server-ca.pem">
              <Download aria-hidden />
              Download PEM
            </a>
          </Button>
        }
      >
        <CodeBlock code={data.caPem.trim()} label="the server CA" className="rounded-none border-0" />
      </Panel>

      <Panel title="Certificates of this instance">
        <ul className="divide-y divide-line">
          {data.certificates.map((certificate) => (
            <li
              key={certificate.role}
              className="grid gap-x-6 gap-y-1 px-4 py-3 lg:grid-cols-[minmax(0,15rem)_minmax(0,1fr)_8rem] lg:items-center"
            >
              <div>
                <h3 className="font-medium text-sm">{certificate.name}</h3>
                <p className="text-muted text-xs">{certificate.purpose}</p>
              </div>
              <p className="flex min-w-0 items-center gap-0.5 text-xs">
                <span className="min-w-0 break-all font-mono text-muted">{certificate.fingerprint}</span>
                <CopyButton
                  text={certificate.fingerprint}
                  label={`Copy the SHA-256 fingerprint of the ${certificate.name}`}
                />
              </p>
              <p className="text-sm lg:text-right" title={day(certificate.notAfter)}>
                <span className="text-muted text-xs">expires </span>
                <Expiry notAfter={certificate.notAfter} />
              </p>
            </li>
          ))}
        </ul>
      </Panel>
    </div>
  );
}
