"use client";
import { useState } from "react";
import { CodeBlock } from "../ui/copy";
import { Segmented } from "../ui/segmented";
import { useData } from "../use-data";

type Client = "reference" | "anjay" | "pelion";

/** The commands that bring a device in, with the host and the names filled in. */
export function RunDevice({ bundle, endpointName }: { bundle: string; endpointName: string | null }) {
  const [client, setClient] = useState<Client>("reference");
  const server = useData("server", {});
  const uri = server.data?.uris.bootstrap.udp ?? "coaps://HOST:5784";
  const plain = uri.split("?")[0];
  const folder = bundle.replace(/\.zip$/, "");
  const endpoint = endpointName ?? "ENDPOINT";

  const commands: Record<Client, { code: string; note: string }> = {
    reference: {
      code: `npm run --silent gangway -- device run ${bundle}`,
      note: "A device of ours, in this project's folder: it bootstraps, registers and has values that change. Put the path of the file in.",
    },
    anjay: {
      code: [
        `unzip ${bundle} -d ${folder} && cd ${folder}`,
        `./demo -e ${endpoint} -b -u ${plain} \\`,
        "  -s cert --certificate-usage 2 -C device.der -K key.der -P server-ca.der",
      ].join("\n"),
      note: "Anjay's demo client stands for any LwM2M 1.0 to 1.2 client with certificates.",
    },
    pelion: {
      code: `unzip -p ${bundle} mbed_cloud_dev_credentials.c > mbed_cloud_dev_credentials.c`,
      note: "Put the file beside main.cpp of a Pelion (Izuma) client application and build in developer mode; nothing else changes.",
    },
  };

  return (
    <div className="grid min-w-0 gap-2">
      <Segmented
        label="Client"
        value={client}
        onChange={setClient}
        className="justify-self-start"
        options={[
          { value: "reference", label: "Reference device" },
          { value: "anjay", label: "Anjay" },
          { value: "pelion", label: "Pelion client" },
        ]}
      />
      <CodeBlock code={commands[client].code} label="commands" />
      <p className="text-muted text-xs">{commands[client].note}</p>
      {server.data?.publicHostIsLocal ? (
        <p className="text-warn text-xs">
          Devices are told “{server.data.publicHost}”, which only works on this machine. Start with
          GANGWAY_PUBLIC_HOST set to its name or address to bring in others.
        </p>
      ) : null}
    </div>
  );
}
