import { describe, expect, it } from "vitest";
import { newSigningKey, showSigningKey, signatureHeaders } from "@/server/services/channels/signature";
import { signatureOf } from "../../support/channels";

describe("signatures", () => {
  it("are those of Standard Webhooks", () => {
    // From the test vectors of its reference libraries.
    const key = Buffer.from("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "base64");
    const body = '{"test": 2432232314}';
    expect(signatureHeaders(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330_999, body)).toEqual({
      "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
      "webhook-timestamp": "1614265330",
      "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    });
  });

  it("can be checked with the key as it is shown", () => {
    const key = newSigningKey();
    const { "webhook-signature": signature } = signatureHeaders(key, "msg_1", 1_700_000_000_000, "{}");
    expect(signatureOf(showSigningKey(key), "msg_1", "1700000000", "{}")).toBe(signature);
    expect(showSigningKey(key)).not.toBe(showSigningKey(newSigningKey()));
  });
});
