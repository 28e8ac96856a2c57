/** A server address as it stands in /0/x/0. */
export interface ServerUri {
  text: string;
  secure: boolean;
  transport: "udp" | "tcp";
  host: string;
  port: number;
  /** Query items, such as "aid=…". */
  query: string[];
}

/** Reads coap, coaps, coap+tcp and coaps+tcp URIs; null for anything else. */
export function parseServerUri(text: string): ServerUri | null {
  const match =
    /^coap(s?)(\+tcp)?:\/\/(?:\[([0-9a-fA-F:.]+)\]|([^\s/?#:@[\]]+))(?::(\d{1,5}))?\/?(?:\?([^\s#]*))?$/.exec(
      text,
    );
  if (!match) return null;
  const [, s, tcp, v6, name, port, query] = match;
  const number = port ? Number(port) : s ? 5684 : 5683;
  if (number < 1 || number > 65535) return null;
  return {
    text,
    secure: s === "s",
    transport: tcp ? "tcp" : "udp",
    host: v6 ?? name ?? "",
    port: number,
    query: query ? query.split("&").filter(Boolean) : [],
  };
}
