import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const root = fileURLToPath(new URL(".", import.meta.url)).replace(/[\\/]$/, "");

export default defineConfig({
  resolve: { alias: [{ find: /^@\//, replacement: `${root}/` }] },
  test: {
    include: ["tests/{unit,interop,fuzz,simulation}/**/*.test.{ts,tsx}"],
    // The TLS binding keeps native handles: a process per test file ends with them.
    pool: "forks",
    maxWorkers: process.env.GANGWAY_TEST_WORKERS ? Number(process.env.GANGWAY_TEST_WORKERS) : undefined,
    testTimeout: 20_000,
    hookTimeout: 30_000,
    teardownTimeout: 10_000,
    env: { NODE_ENV: "test", TZ: "UTC" },
  },
});
