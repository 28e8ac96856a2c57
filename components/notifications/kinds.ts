/** The three ways in which an application is told of things. */
export const KINDS = {
  CALLBACK: { label: "Callback", how: "Sent to an address of the application by HTTP PUT." },
  LONG_POLLING: { label: "Long polling", how: "Fetched by the application, one poll after the other." },
  WEB_SOCKET: { label: "WebSocket", how: "Sent over a connection that the application keeps open." },
} as const;
