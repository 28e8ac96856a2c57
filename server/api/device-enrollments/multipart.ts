import { failure } from "../errors";

/** More parts than any form has. */
const MAX_PARTS = 20;

/** The content of one field of a multipart form, whether it was sent as a file or as a text. */
export async function formField(
  body: Uint8Array,
  contentType: string | null,
  name: string,
): Promise<Uint8Array> {
  const form = await readForm(body, contentType);
  const value = form.get(name);
  if (value === null) throw failure(400, "validation_error", `${name}: is needed`);
  return typeof value === "string" ? Buffer.from(value) : new Uint8Array(await value.arrayBuffer());
}

async function readForm(body: Uint8Array, contentType: string | null): Promise<FormData> {
  const [, quoted, plain] = /boundary=(?:"([^"]+)"|([^;\s]+))/i.exec(contentType ?? "") ?? [];
  const boundary = quoted ?? plain;
  if (!contentType || !boundary)
    throw failure(400, "bad_request", "The body has to be multipart/form-data with a boundary.");
  const mark = `--${boundary}`;
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.length);
  let parts = 0;
  for (let at = bytes.indexOf(mark); at >= 0; at = bytes.indexOf(mark, at + mark.length))
    if (++parts > MAX_PARTS + 1) throw failure(400, "bad_request", "The form has too many parts.");
  try {
    return await new Response(Uint8Array.from(body), { headers: { "Content-Type": contentType } }).formData();
  } catch {
    throw failure(400, "bad_request", "The body is no multipart/form-data.");
  }
}
