import { createServer, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { type AddressInfo, connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { afterEach, describe, expect, it } from "vitest";
import { createRootAuthority, createServerCertificate, toPem } from "@/server/pki";
import { answerUnupgraded, isWebSocket } from "@/server/portal/upgrade";

const servers: Server[] = [];
const made = createServerCertificate(createRootAuthority("Test", 1), { hosts: ["localhost"], days: 1 });
const credentials = {
  cert: toPem(made.certificate, "CERTIFICATE"),
  key: toPem(made.privateKey, "PRIVATE KEY"),
};
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

/** A server that upgrades nothing and echoes what it is sent. */
async function start(secure: boolean): Promise<number> {
  const server: Server = secure ? createTlsServer(credentials) : createServer();
  server.on("request", (req, res) => {
    const chunks: Buffer[] = [];
    req.on("data", (chunk: Buffer) => chunks.push(chunk));
    req.on("end", () => {
      const { upgrade, connection } = req.headers;
      res.end(
        JSON.stringify({
          method: req.method,
          url: req.url,
          upgrade,
          connection,
          x: req.headers.x,
          body: Buffer.concat(chunks).toString(),
        }),
      );
    });
  });
  server.on("upgrade", (req, socket: Socket, head: Buffer) => {
    expect(isWebSocket(req)).toBe(false);
    answerUnupgraded(server, req, socket, head);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

/** Writes parts one after another and gathers the bodies of the answers. */
async function talk(
  port: number,
  secure: boolean,
  parts: readonly string[],
  answers: number,
): Promise<unknown[]> {
  const socket = secure
    ? connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false })
    : connect(port, "127.0.0.1");
  let text = "";
  socket.on("data", (chunk) => {
    text += chunk.toString();
  });
  await new Promise<void>((resolve) => socket.once(secure ? "secureConnect" : "connect", () => resolve()));
  for (const part of parts) {
    socket.write(part);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const bodies = () => [...text.matchAll(/\{[^\r\n]*\}/g)].map(([body]) => JSON.parse(body) as unknown);
  for (let wait = 0; bodies().length < answers && wait < 200; wait++)
    await new Promise((resolve) => setTimeout(resolve, 10));
  socket.destroy();
  return bodies();
}

const H2C = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n";

describe.each([
  ["http", false],
  ["https", true],
])("a request over %s that offers another protocol", (_, secure) => {
  it("is answered as if it had not", async () => {
    const port = await start(secure);
    expect(await talk(port, secure, [`GET /a?b=c HTTP/1.1\r\nHost: x\r\nX: é\r\n${H2C}\r\n`], 1)).toEqual([
      { method: "GET", url: "/a?b=c", x: expect.any(String), body: "" },
    ]);
  });

  it("keeps its body, however it comes, and its connection", async () => {
    const port = await start(secure);
    const head = `POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n${H2C}\r\n`;
    const next = "PUT /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    for (const parts of [
      [`${head}0123456789`, next],
      [head, "01234", "56789", next],
      [`${head}0123456789${next}`],
      [`${head}01`, `23456789${next}`],
    ])
      expect(await talk(port, secure, parts, 2)).toEqual([
        { method: "POST", url: "/a", body: "0123456789" },
        { method: "PUT", url: "/b", body: "abc" },
      ]);
  });
});
