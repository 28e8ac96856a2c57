import { describe, expect, it } from "vitest";
import type { LiveRegistration } from "@/server/gateway/directory";
import { AWAKE_MS, Presence } from "@/server/gateway/presence";
import { FakePeer } from "@/tests/support/coap-peers";
import { FakeClock } from "@/tests/support/fake-clock";

function device(queueMode: 0 | 1) {
  const clock = new FakeClock();
  const presence = new Presence(clock);
  const peer = new FakePeer("udp", clock);
  const registration = { queueMode, peer, updatedAt: clock.now() } as unknown as LiveRegistration;
  /** As the registration server does it. */
  const update = () => {
    registration.updatedAt = clock.now();
    presence.heard(registration);
  };
  const awake = () => presence.awake(registration);
  return { clock, presence, peer, registration, update, awake };
}

describe("a device in queue mode", () => {
  it("is awake for 93 seconds after Register and each Update, then asleep [QUE-01]", async () => {
    const { clock, update, awake } = device(1);
    expect(AWAKE_MS).toBe(93_000);
    for (let round = 0; round < 3; round++) {
      expect(awake()).toBe(true);
      await clock.advance(AWAKE_MS * 0.8);
      expect(awake()).toBe(true);
      await clock.advance(AWAKE_MS * 0.2);
      expect(awake()).toBe(false);
      await clock.advance(3_600_000);
      expect(awake()).toBe(false);
      update();
    }
  });

  it("listens longer with every Update in the window [QUE-02]", async () => {
    const { clock, update, awake } = device(1);
    for (let times = 0; times < 5; times++) {
      await clock.advance(60_000);
      update();
    }
    await clock.advance(AWAKE_MS - 1);
    expect(awake()).toBe(true);
    await clock.advance(1);
    expect(awake()).toBe(false);
  });

  it("sleeps at once when it does not answer, until it is heard again [QUE-03]", async () => {
    const { clock, presence, registration, update, awake } = device(1);
    presence.silent(registration);
    expect(awake()).toBe(false);
    await clock.advance(1000);
    update();
    expect(awake()).toBe(true);
  });

  it("listens longer after an answer or any other message [QUE-10]", async () => {
    const { clock, presence, registration, awake } = device(1);
    await clock.advance(AWAKE_MS - 1);
    presence.heard(registration);
    await clock.advance(AWAKE_MS - 1);
    expect(awake()).toBe(true);
  });

  it("cannot be asked without its connection", () => {
    const { peer, registration, awake } = device(1);
    peer.close();
    expect(awake()).toBe(false);
    registration.peer = null;
    expect(awake()).toBe(false);
  });

  it("may still be in its window after a restart of the server", async () => {
    const { clock, registration } = device(1);
    await clock.advance(AWAKE_MS / 2);
    const restarted = new Presence(clock);
    expect(restarted.awake(registration)).toBe(true);
    await clock.advance(AWAKE_MS / 2);
    expect(restarted.awake(registration)).toBe(false);
  });
});

describe("a device without queue mode", () => {
  it("is awake as long as it is connected, also when it was silent [QUE-05]", async () => {
    const { clock, presence, registration, peer, awake } = device(0);
    await clock.advance(86_400_000);
    expect(awake()).toBe(true);
    presence.silent(registration);
    expect(awake()).toBe(true);
    peer.close();
    expect(awake()).toBe(false);
  });
});

it("tells of every contact", () => {
  const { presence, registration, update } = device(0);
  const heard: LiveRegistration[] = [];
  presence.oncontact = (one) => heard.push(one);
  update();
  update();
  expect(heard).toEqual([registration, registration]);
});
