/** @type {import('next').NextConfig} */
const config = {
  reactStrictMode: true,
  poweredByHeader: false,
  agentRules: false,
  devIndicators: false,
  // Security headers and the content security policy with its nonce come from server/portal/headers.ts.
  serverExternalPackages: [
    "@node-rs/argon2",
    "@peculiar/x509",
    "@prisma/adapter-better-sqlite3",
    "@prisma/client",
    "better-sqlite3",
    "koffi",
    "pino",
    "reflect-metadata",
  ],
  // Types are checked by npm run verify, once for the whole project.
  typescript: { ignoreBuildErrors: true },
  // Tracing of files is for bundled deployments; this one runs where it was built.
  turbopack: { ignoreIssue: [{ path: "**/server/pki/**", title: /filesystem access/i }] },
  experimental: {
    optimizePackageImports: ["lucide-react", "radix-ui"],
    serverActions: { bodySizeLimit: "1mb" },
  },
};

export default config;
