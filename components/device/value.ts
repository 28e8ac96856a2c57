import type { ResourceValue } from "@/server/bus/messages";

const UNITS: Record<string, string> = { Cel: "°C", "%RH": "% RH", "/100": "%" };

/** A value with its unit, as a person reads it. */
export function showValue(value: ResourceValue, units: string | null): string {
  const text = plain(value);
  const measured =
    value.type === "integer" || value.type === "unsigned" || (value.type === "float" && value.value !== null);
  return units && measured ? `${text} ${UNITS[units] ?? units}` : text;
}

function plain(value: ResourceValue): string {
  switch (value.type) {
    case "float":
      // A 32-bit float shows digits that it never had.
      return value.value === null ? "not a number" : String(Number(value.value.toPrecision(7)));
    case "boolean":
      return value.value ? "true" : "false";
    case "time": {
      const date = new Date(Number(value.value) * 1000);
      return Number.isNaN(date.getTime())
        ? `${value.value} s`
        : date.toISOString().slice(0, 19).replace("T", " ").concat(" UTC");
    }
    case "opaque": {
      const bytes = Uint8Array.from(atob(value.value), (char) => char.charCodeAt(0));
      const hex = Array.from(bytes.slice(0, 24), (byte) => byte.toString(16).padStart(2, "0")).join("");
      return `${bytes.length} ${bytes.length === 1 ? "byte" : "bytes"}${hex ? `: ${hex}` : ""}${bytes.length > 24 ? "…" : ""}`;
    }
    default:
      return value.value;
  }
}

/** What an input for it starts with. */
export function editValue(value: ResourceValue | undefined): string {
  if (!value || value.type === "opaque") return "";
  if (value.type === "time") {
    const date = new Date(Number(value.value) * 1000);
    return Number.isNaN(date.getTime()) ? "" : date.toISOString().slice(0, 19);
  }
  return value.value === null ? "" : String(value.value);
}
