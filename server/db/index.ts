export { Prisma } from "../../generated/prisma/client";
export { openDatabase, type PrismaClient, type Transaction } from "./client";
export { type Entry, GroupCommit, type Statement } from "./group-commit";
export { MigrationError, migrate } from "./migrate";
export { openTestDatabase, type TestDatabase } from "./testing";
