import * as der from "./der";

/** The parts of a distinguished name that mean something here. */
export interface Name {
  cn: string | null;
  ou: string | null;
  o: string | null;
  l: string | null;
  st: string | null;
  c: string | null;
  serialNumber: string | null;
}

/** Attribute types with their short names [RFC4514 §3, RFC5280 §4.1.2.4]. */
const ATTRIBUTES: Record<string, string> = {
  "2.5.4.3": "CN",
  "2.5.4.5": "serialNumber",
  "2.5.4.6": "C",
  "2.5.4.7": "L",
  "2.5.4.8": "ST",
  "2.5.4.10": "O",
  "2.5.4.11": "OU",
  "2.5.4.12": "title",
  "0.9.2342.19200300.100.1.25": "DC",
  "0.9.2342.19200300.100.1.1": "UID",
  "1.2.840.113549.1.9.1": "emailAddress",
};

const OIDS = Object.fromEntries(
  Object.entries(ATTRIBUTES).map(([oid, short]) => [short, der.oid(oid)]),
) as Record<string, Buffer>;

/** One attribute for `encodeName`: country codes are PrintableString [RFC5280 §4.1.2.4], the rest UTF8String. */
export type Attribute = readonly [type: "C" | "ST" | "L" | "O" | "OU" | "CN", value: string];

/** A name with one attribute per step, in the order given. */
export function encodeName(attributes: readonly Attribute[]): Buffer {
  return der.sequence(
    ...attributes.map(([type, value]) =>
      der.set(der.sequence(OIDS[type] as Buffer, type === "C" ? der.printable(value) : der.utf8(value))),
    ),
  );
}

/** Reads the name, as parts and as one line in the order in which it is written: `C=SE, O=Example, CN=device-1`. */
export function readName(bytes: Uint8Array): { name: Name; text: string } {
  const name: Name = { cn: null, ou: null, o: null, l: null, st: null, c: null, serialNumber: null };
  const text: string[] = [];
  const steps = new der.Reader(bytes, "name").into(der.TAG.sequence, "name");
  while (steps.more) {
    const attributes = steps.into(der.TAG.set, "name");
    const step: string[] = [];
    while (attributes.more) {
      const attribute = attributes.into(der.TAG.sequence, "attribute");
      const oid = der.readOid(attribute.next(der.TAG.oid, "attribute type"));
      const value = der.readText(attribute.next());
      const short = ATTRIBUTES[oid] ?? oid;
      step.push(`${short}=${escapeValue(value)}`);
      const key = (short === "serialNumber" ? short : short.toLowerCase()) as keyof Name;
      // With several of one type the last one is the most specific.
      if (Object.hasOwn(name, key)) name[key] = value;
    }
    text.push(step.join(" + "));
  }
  return { name, text: text.join(", ") };
}

/** A value cannot pass itself off as another attribute, or break a line of a log [RFC4514 §2.4]. */
function escapeValue(value: string): string {
  return value
    .replace(/[,+"\\<>;=]/g, "\\$&")
    .replace(/[\p{Cc}\p{Cf}]/gu, (char) => `\\u{${(char.codePointAt(0) as number).toString(16)}}`);
}
