/** The arrows between the rooms: dependencies point down (docs/development.md). */

// A room may import the rooms under it and what every room may use: these are the ones it may not.
const arrow = (name, from, to, comment) => ({
  name,
  comment,
  severity: "error",
  from: { path: from },
  to: { path: to },
});

const PROTOCOL = "^server/(transport|coap|lwm2m)/";

module.exports = {
  forbidden: [
    {
      name: "no-circular",
      comment: "Modules that need each other at run time cannot be understood or tested alone.",
      severity: "error",
      from: { pathNot: "^generated/" },
      to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } },
    },
    {
      name: "not-resolvable",
      comment: "An import that leads nowhere.",
      severity: "error",
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: "protocol-stands-alone",
      comment:
        "transport, coap and lwm2m could be published as packages: they know each other and the clock.",
      severity: "error",
      from: { path: PROTOCOL },
      to: {
        path: "^(server|app|components|generated|prisma|scripts)/",
        pathNot: `${PROTOCOL}|^server/clock\\.ts$`,
      },
    },
    {
      name: "protocol-knows-no-database",
      severity: "error",
      from: { path: PROTOCOL },
      to: { path: "node_modules/(@prisma|better-sqlite3|next|react|pino|zod)/" },
    },
    arrow(
      "transport-is-the-floor",
      "^server/transport/",
      "^server/(coap|lwm2m)/",
      "transport knows no CoAP.",
    ),
    arrow("coap-over-transport", "^server/coap/", "^server/lwm2m/", "coap knows no LwM2M."),
    arrow(
      "services-know-no-entry-point",
      "^server/services/",
      "^(server/(gateway|portal|api|cli|device)(/|\\.ts$)|app/|components/)",
      "Services are called by every entry point and call none.",
    ),
    arrow(
      "foundation-knows-no-rules",
      "^server/(pki|db|bus|config)/",
      "^(server/(services(?!/(errors|ids|context))|gateway|portal|api|cli|device)(/|\\.ts$)|app/|components/)",
      "pki, db, bus and config hold no rules of the domain.",
    ),
    arrow(
      "gateway-and-portal-apart",
      "^server/gateway(/|\\.ts$)",
      "^(server/(portal|api|cli)(/|\\.ts$)|app/|components/)",
      "The two processes meet in the services and on the bus.",
    ),
    arrow(
      "portal-and-gateway-apart",
      "^(server/(portal|api)(/|\\.ts$)|app/|components/)",
      "^server/(gateway(/|\\.ts$)|transport/|coap/)",
      "The two processes meet in the services and on the bus.",
    ),
    arrow(
      "device-stands-alone",
      "^server/device/",
      "^(server/(services|gateway|portal|api|cli|db|config)(/|\\.ts$)|app/|components/|generated/)",
      "The reference device knows only protocol and credentials.",
    ),
    arrow(
      "components-hold-no-queries",
      "^components/",
      "^(server/(db|bus/(?!messages)|pki|config|device)/|generated/|node_modules/@prisma/)",
      "Components get their data; pages load it through services.",
    ),
    arrow(
      "pages-ask-services",
      "^app/",
      "^(server/(db|pki|device)/|generated/|node_modules/@prisma/)",
      "Pages and actions call services and hold no query of their own.",
    ),
    {
      name: "prisma-behind-db",
      comment: "The generated client is reached through server/db.",
      severity: "error",
      from: { path: "^(app|components|server)/", pathNot: "^server/db/" },
      to: { path: "^generated/prisma/", dependencyTypesNot: ["type-only"] },
    },
    arrow(
      "no-tests-in-the-house",
      "^(app|components|server)/",
      "^(tests|scripts)/",
      "Only tests import tests.",
    ),
    {
      name: "no-dev-dependency-at-run-time",
      severity: "error",
      from: { path: "^(app|components|server)/" },
      to: {
        dependencyTypes: ["npm-dev"],
        dependencyTypesNot: ["type-only"],
        pathNot: "node_modules/@types/",
      },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules|^generated/" },
    exclude: { path: "^(\\.next|build|data)/" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "require", "node", "default", "types"],
      extensions: [".ts", ".tsx", ".mjs", ".js", ".json"],
    },
    cache: { folder: "node_modules/.cache/dependency-cruiser", strategy: "content" },
  },
};
