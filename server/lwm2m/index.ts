export * from "./arguments";
export * from "./content";
export * from "./definitions";
export * from "./errors";
export * from "./links";
export * from "./media-types";
export * from "./operations";
export * from "./paths";
export * from "./registration";
export * from "./structure";
export { encodeObjectInstance, encodeResources, encodeTlv, type InstanceResource } from "./tlv";
export {
  boolean,
  type ContentValue,
  checkType,
  float,
  formatValue,
  integer,
  objlnk,
  opaque,
  opaqueBytes,
  parseInput,
  type ResourceValue,
  string,
  time,
  whole,
} from "./values";
export * from "./version";
