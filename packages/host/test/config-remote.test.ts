/** `mode` and [remote]: the node side of a remote signer, and what an operator reads when something is misplaced. */
import { describe, expect, it } from 'vitest';
import { faultOf, parse } from './config-support.ts';

const remoteOf = (text: string) => parse(`mode = "remote"\n[remote]\n${text}`).remote;
const listenOf = (text: string) => remoteOf(`listen = "${text}"`)?.listen;

const PIN = 'ab'.repeat(32);

describe('the node side of a remote signer', () => {
  it('listens for its signer, on this machine unless told otherwise', () => {
    const { mode, remote } = parse('mode = "remote"');
    expect(mode).toBe('remote');
    expect(remote).toEqual({
      transport: 'link',
      listen: { kind: 'tcp', host: '127.0.0.1', port: 9737 },
      pins: [],
      startPatienceSeconds: null,
      linkPatienceSeconds: null,
      greetingSeconds: 10,
      retrySeconds: 10,
    });
  });

  it('may set every key', () => {
    const text = `transport = "vls-grpc"
listen = "10.0.0.2:2701"
pins = ["${PIN}"]
start_patience_seconds = 60
link_patience_seconds = 604_800
greeting_seconds = 30
retry_seconds = 0
`;
    expect(remoteOf(text)).toEqual({
      transport: 'vls-grpc',
      listen: { kind: 'tcp', host: '10.0.0.2', port: 2701 },
      pins: [PIN],
      startPatienceSeconds: 60,
      linkPatienceSeconds: 604_800,
      greetingSeconds: 30,
      retrySeconds: 0,
    });
  });

  it.each([
    ['[::]:9737', { kind: 'tcp', host: '::', port: 9737 }],
    ['signer-net.example:1', { kind: 'tcp', host: 'signer-net.example', port: 1 }],
    ['0.0.0.0:65535', { kind: 'tcp', host: '0.0.0.0', port: 65_535 }],
    ['unix:/run/countersign/link.sock', { kind: 'unix', path: '/run/countersign/link.sock' }],
    ['unix:link.sock', { kind: 'unix', path: 'link.sock' }],
  ])('listens at %s', (text, address) => {
    expect(listenOf(text)).toEqual(address);
  });

  it.each([
    '9737',
    'localhost',
    ':9737',
    '1.2.3.4:0',
    '1.2.3.4:65536',
    '::1:9737',
    'unix:',
    'a b:1',
    'tcp://a:1',
  ])('cannot listen at "%s"', (text) => {
    expect(faultOf(`mode = "remote"\n[remote]\nlisten = "${text}"`)).toBe(
      '3: "remote.listen" is no address, expected "192.168.1.5:9737", "[::]:9737" or "unix:/path/of/a/socket"',
    );
  });

  it('listens for signers of VLS’s kind where VLS does', () => {
    expect(remoteOf('transport = "vls-grpc"')).toMatchObject({
      listen: { kind: 'tcp', host: '127.0.0.1', port: 7701 },
      pins: [],
    });
  });

  it.each([
    [`pins = ["${PIN}"]`, '3: "pins" is for transport = "vls-grpc"; pairing pins keys here'],
    [
      'transport = "vls-grpc"\nlisten = "unix:x"',
      '4: transport = "vls-grpc" listens at an address and a port',
    ],
    ['transport = "vls-grpc"\npins = []', /^4: .*a list of pins in quotes, each 64 digits of hex/],
    [
      `transport = "vls-grpc"\npins = ["${PIN.toUpperCase()}"]`,
      /^4: .*a list of pins in quotes, each 64 digits of hex/,
    ],
  ])('%s: a key is told where it belongs', (text, fault) => {
    const told = faultOf(`mode = "remote"\n[remote]\n${text}`);
    if (typeof fault === 'string') expect(told).toBe(fault);
    else expect(told).toMatch(fault);
  });

  it('may follow the chain for its signer', () => {
    const { chain } = parse('mode = "remote"\n[chain]\nsource = "esplora"\nurl = "https://example.org/api"');
    expect(chain.source).toBe('esplora');
  });

  it('has no chain for a signer of VLS’s kind, which takes none from there', () => {
    const text = 'mode = "remote"\n[remote]\ntransport = "vls-grpc"\n[chain]\n';
    const source = 'source = "esplora"\nurl = "https://example.org/api"';
    expect(faultOf(text + source)).toBe(
      '4: [chain] has no effect with transport = "vls-grpc": a signer there follows the chain by itself',
    );
    expect(parse(`${text}source = "none"`).chain.source).toBe('none');
  });

  it.each([
    [
      '[remote]\nlisten = "0.0.0.0:9737"',
      '1: [remote] is for mode = "remote", which has to stand above the first [table]',
    ],
    [
      'mode = "remote"\n[policy]\npreset = "hub"',
      `2: [policy] has no effect on the node side (mode = "remote"): it belongs into the signer's own file`,
    ],
    [
      'mode = "remote"\nwitness_file = "x"',
      `2: "witness_file" has no effect on the node side (mode = "remote"): it belongs into the signer's own file`,
    ],
    [
      'mode = "remote"\n[chain]\nsource = "node"\nbirthday_height = 1',
      '3: source = "node" is for the signer: with mode = "remote" this is the node, "bitcoind" and "esplora" feed the signer',
    ],
    [
      'mode = "remote"\n[remote]\nlisten_at = "x:1"',
      '3: unknown key "remote.listen_at"; did you mean "listen"?',
    ],
    [
      'mode = "remote"\n[remote]\nretry_seconds = 121',
      '3: "remote.retry_seconds" is 121, expected a whole number from 0 to 120 (seconds)',
    ],
    [
      'mode = "remote"\nretry_seconds = 5',
      '2: unknown key "retry_seconds"; "retry_seconds" belongs below [remote]',
    ],
  ])('says what is wrong with %j', (text, fault) => {
    expect(faultOf(text)).toBe(fault);
  });
});
