/** The key in an Authorization header; clients write the scheme in any case. */
export function bearerKey(authorization: string | null | undefined): string | null {
  return /^\s*bearer\s+(\S{1,512})\s*$/i.exec(authorization ?? "")?.[1] ?? null;
}
