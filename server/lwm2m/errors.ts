/** A payload or value that cannot be read or written; the message is for a person. */
export class ContentError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "ContentError";
  }
}

/** Text that is not CoRE link format, or breaks the LwM2M rules for links; the message says where. */
export class LinkFormatError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "LinkFormatError";
  }
}
