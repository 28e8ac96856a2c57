export { Prisma } from "../../generated/prisma/client";
export { openDatabase, type PrismaClient, rowsOf, type Transaction } from "./client";
export { type Entry, GroupCommit, type Statement, type StorageTrouble } from "./group-commit";
export { MigrationError, migrate } from "./migrate";
export { type Columns, columnList, type RowOf } from "./reader";
export { storageTrouble } from "./storage-trouble";
export { openTestDatabase, type TestDatabase } from "./testing";
