import type { BundleInput } from "./bundle-types";

/** The README of a bundle: what is in it, and the commands with everything filled in. */
export function bundleReadme(input: BundleInput & { fileName: string }): string {
  const { udp, tcp } = input.bootstrapUri;
  const authority = udp.replace(/^coaps:\/\//, "");
  const name = shellWord(input.endpointName);
  return `# Developer certificate for ${input.endpointName.replace(/[^\x20-\x7e]|[`<>]/g, "_")}

A device that uses these files bootstraps at this Gangway and then appears in the portal.
They hold a private key: keep them to yourself. The bundle can be downloaded once.

| | |
|---|---|
| Endpoint name | \`${input.endpointName.replace(/[^\x20-\x7e]|[`|]/g, "_")}\` |
| Account | \`${input.accountId}\` |
| Bootstrap over UDP (DTLS) | \`${udp}\` |
| Bootstrap over TCP (TLS) | \`${tcp}\` |

| File | What it is |
|---|---|
| mbed_cloud_dev_credentials.c | everything for Pelion's (Izuma's) device client |
| device.pem, device.der | the device's certificate |
| key.pem, key.der | its private key (PKCS#8) |
| server-ca.pem, server-ca.der | the CA that the device checks the servers by |
| gangway.json | everything for Gangway's reference device |

Run the commands in the folder with the unpacked files, unless they say otherwise.

## Gangway's reference device
In the folder of Gangway, with the zip file as it was downloaded:
\`\`\`sh
npm run gangway -- device run ${shellWord(input.fileName)}
\`\`\`
\`--transport tcp\` uses TCP instead of UDP, \`--count 10\` runs ten devices.

## Pelion's client
Replace \`mbed_cloud_dev_credentials.c\` in the folder of your application, and build it in developer mode.

## Anjay's demo client
\`\`\`sh
./demo -e ${name} -b -u ${udp} \\
  -s cert --certificate-usage 2 -C device.der -K key.der -P server-ca.der
\`\`\`
Over TCP: \`-u ${tcp}\`. It ends when its standard input is closed.

## libcoap, for a look at the connection
\`\`\`sh
coap-client-openssl -m get -c device.pem -j key.pem -C server-ca.pem -v 6 \\
  "${udp}/.well-known/core"
\`\`\`

## OpenSSL, for a look at the handshake
DTLS and TLS:
\`\`\`sh
openssl s_client -dtls1_2 -connect ${authority} -cert device.pem -key key.pem -CAfile server-ca.pem
openssl s_client -connect ${authority} -cert device.pem -key key.pem -CAfile server-ca.pem
\`\`\`
\`Verify return code: 0 (ok)\` means that the device would trust the server. If the server refuses the device's
certificate, OpenSSL shows the alert, and the portal lists the attempt under Knocks with the cause in words.
`;
}

/** One word for a POSIX shell. */
const shellWord = (text: string) =>
  /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
