/** The codec of `hsmd.proto` against another library's reading of the file, and against bytes that nobody should send. */
import { create, type DescMessage, fromBinary, toBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decodePing,
  decodeSignerRequest,
  decodeSignerResponse,
  encodePing,
  encodeSignerRequest,
  encodeSignerResponse,
  type SignerRequest,
  type SignerResponse,
} from '../../src/grpc/messages.ts';
import { HSMD_SERVICE } from '../../src/grpc/service.ts';
import { LinkError } from '../../src/link/error.ts';
import { registry } from './foreign.ts';

function schema(name: string): DescMessage {
  const found = registry.getMessage(`hsmd.${name}`);
  if (found === undefined) throw new Error(`no ${name} in hsmd.proto`);
  return found;
}

/** Fields of a message of the other library, without what is its own. */
function plain(message: unknown): Record<string, unknown> {
  const { $typeName, $unknown, ...fields } = message as Record<string, unknown>;
  return fields;
}

const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const bytes = fc.uint8Array({ maxLength: 64 });
const context = fc.record({ peerId: bytes, dbid: u64, capabilities: u64 });
const requests: fc.Arbitrary<SignerRequest> = fc.record({
  requestId: u64,
  context: fc.option(context),
  message: bytes,
});
const responses: fc.Arbitrary<SignerResponse> = fc.record({
  requestId: u64,
  message: bytes,
  error: fc.string({ unit: 'grapheme' }),
  isTemporaryFailure: fc.boolean(),
});

const bad = (run: () => unknown) =>
  expect(run).toThrow(expect.objectContaining({ code: 'link-protocol' }) as unknown as LinkError);

describe('hsmd.proto', () => {
  it('names the methods that are served', () => {
    const service = registry.getService('hsmd.Hsmd');
    const kinds = { unary: [false, false], bidi_streaming: [true, true] } as Record<string, boolean[]>;
    const listed = service?.methods.map(({ name, methodKind }) => [`/hsmd.Hsmd/${name}`, kinds[methodKind]]);
    const served = Object.values(HSMD_SERVICE).map((method) => [
      method.path,
      [method.requestStream, method.responseStream],
    ]);
    expect(served).toEqual(listed);
  });

  it('SignerRequest is read and written alike', () => {
    const desc = schema('SignerRequest');
    fc.assert(
      fc.property(requests, (request) => {
        const { context: ours, ...rest } = request;
        const theirs = create(desc, { ...rest, ...(ours && { context: ours }) } as never);
        expect(decodeSignerRequest(toBinary(desc, theirs))).toEqual(request);
        const read = plain(fromBinary(desc, encodeSignerRequest(request)));
        const readContext = read.context === undefined ? null : plain(read.context);
        expect({ ...read, context: readContext }).toEqual(request);
      }),
    );
  });

  it('SignerResponse is read and written alike', () => {
    const desc = schema('SignerResponse');
    fc.assert(
      fc.property(responses, (response) => {
        expect(decodeSignerResponse(toBinary(desc, create(desc, response as never)))).toEqual(response);
        expect(plain(fromBinary(desc, encodeSignerResponse(response)))).toEqual(response);
      }),
    );
  });

  it('Ping is read and written alike', () => {
    for (const name of ['PingRequest', 'PingReply']) {
      const desc = schema(name);
      expect(decodePing(toBinary(desc, create(desc, { message: 'héllo' } as never))).message).toBe('héllo');
      expect(plain(fromBinary(desc, encodePing({ message: 'héllo' }))).message).toBe('héllo');
    }
    expect(encodePing({ message: '' })).toEqual(Uint8Array.of(0x0a, 0));
    expect(decodePing(new Uint8Array(0))).toEqual({ message: '' });
  });
});

describe('bytes from a stranger', () => {
  it('any bytes are read or refused with a LinkError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (input) => {
        for (const decode of [decodePing, decodeSignerRequest, decodeSignerResponse]) {
          try {
            decode(input);
          } catch (error) {
            expect(error).toBeInstanceOf(LinkError);
          }
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it('a message cut anywhere is refused or shorter, never longer', () => {
    const whole = encodeSignerResponse({
      requestId: 2n ** 63n,
      message: new Uint8Array(40).fill(7),
      error: 'policy-x: no',
      isTemporaryFailure: true,
    });
    for (let length = 0; length < whole.length; length++) {
      try {
        expect(decodeSignerResponse(whole.slice(0, length)).message.length).toBeLessThanOrEqual(40);
      } catch (error) {
        expect(error).toBeInstanceOf(LinkError);
      }
    }
  });

  it('unknown fields and known ones of another type are passed over', () => {
    // 9: varint, 10: 8 bytes, 11: bytes, 12: 4 bytes, 13: a group; then request_id as bytes, then as it should be.
    const extra = [
      [0x48, 0x05],
      [0x51, 1, 2, 3, 4, 5, 6, 7, 8],
      [0x5a, 1, 0xff],
      [0x65, 1, 2, 3, 4],
      [0x6b, 0x08, 0x01, 0x6c],
      [0x0a, 0x01, 0x07],
      [0x08, 0x2a],
    ].flat();
    expect(decodeSignerResponse(Uint8Array.from(extra)).requestId).toBe(42n);
  });

  it('of a field that comes twice the later one counts; a context is merged', () => {
    const one = encodeSignerRequest({
      requestId: 1n,
      context: { peerId: new Uint8Array(33).fill(2), dbid: 0n, capabilities: 5n },
      message: Uint8Array.of(1),
    });
    const two = encodeSignerRequest({
      requestId: 2n,
      context: { peerId: new Uint8Array(0), dbid: 9n, capabilities: 0n },
      message: Uint8Array.of(2),
    });
    expect(decodeSignerRequest(Uint8Array.from([...one, ...two]))).toEqual({
      requestId: 2n,
      context: { peerId: new Uint8Array(33).fill(2), dbid: 9n, capabilities: 5n },
      message: Uint8Array.of(2),
    });
  });

  it.each([
    ['a varint without an end', [0x08, 0xff]],
    ['a varint of eleven bytes', [0x08, ...Array(10).fill(0xff), 1]],
    ['a field number of 0', [0x00]],
    ['bytes beyond the end', [0x12, 5, 1]],
    ['a length of 4 GiB', [0x12, 0xff, 0xff, 0xff, 0xff, 0x0f]],
    ['an unknown field beyond the end', [0x5a, 5, 1]],
    ['groups within groups without an end', Array(5_000).fill(0x6b)],
    ['an end of a group that never began', [0x6c]],
    ['text that is not UTF-8', [0x1a, 1, 0xff]],
    ['a bool without a byte', [0x20]],
  ])('%s is refused', (_, input) => {
    bad(() => decodeSignerResponse(Uint8Array.from(input)));
  });
});
