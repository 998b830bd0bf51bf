import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { BUNDLED_RECORDINGS, recordingsOf, scenariosAt } from '../src/replay/bundled.ts';
import {
  isRegtest,
  loadScenario,
  messageCount,
  scenarioName,
  startsAsDeveloper,
} from '../src/replay/recording.ts';
import { loadSynthetic } from '../src/replay/synthetic.ts';

const scratch = mkdtempSync(join(tmpdir(), 'countersign-recording-'));
afterAll(() => rmSync(scratch, { recursive: true }));

const LINE = {
  seq: 0,
  pid: 7,
  client: { id: 0, dbid: 0, peer_id: '', capabilities: 1027 },
  type: 'WIRE_HSMD_DERIVE_SECRET',
  type_num: 27,
  request: '001b000161',
  reply: '007f',
  dt_us: 5,
};

function scenario(name: string, lines: readonly unknown[]): string {
  const directory = join(scratch, name);
  mkdirSync(directory);
  const nodes = { l1: { hsm_secret_hex: '00' } };
  writeFileSync(join(directory, 'meta.json'), JSON.stringify({ scenario: name, description: '', nodes }));
  writeFileSync(join(directory, 'l1.jsonl'), lines.map((line) => JSON.stringify(line)).join('\n'));
  return directory;
}

describe('the bundled recordings', () => {
  const all = scenariosAt(undefined).flatMap((directory) => recordingsOf(directory, undefined));

  it('hold 14,854 recorded requests and the 11 that fatal ends kept out of the recording', () => {
    expect(all.reduce((sum, one) => sum + messageCount(one), 0)).toBe(14_854 + 11);
  });

  it('restart one node and no other', () => {
    const restarted = all.filter((one) => one.runs.length > 1);
    expect(restarted.map((one) => `${one.scenario}/${one.node}`)).toEqual(['forward/l2']);
  });

  it('start as developer where lightningd did', () => {
    const developers = all.filter((one) => startsAsDeveloper(one.runs[0]!));
    const cases = developers.filter((one) => one.scenario === 'synthetic').map((one) => one.node);
    expect(cases).toEqual(['dev-force', 'preapprove-fail']);
    expect(developers.length).toBe(31);
  });

  it('are regtest, but for the two mainnet cases', () => {
    const others = all.filter((one) => !isRegtest(one));
    expect(others.map((one) => one.node)).toEqual(['mainnet-mnemonic', 'mainnet-plain']);
  });

  it('give every case without recorded lines a request', () => {
    for (const one of loadSynthetic(join(BUNDLED_RECORDINGS, 'synthetic')))
      expect(messageCount(one)).toBeGreaterThan(0);
  });

  it('are found by their names', () => {
    expect(scenariosAt('breach').map(scenarioName)).toEqual(['breach']);
    expect(() => scenariosAt('no-such-thing')).toThrow(/no recording "no-such-thing"/);
  });
});

describe('loading a recording', () => {
  it('splits at every change of process id', () => {
    const directory = scenario('runs', [LINE, { ...LINE, seq: 1 }, { ...LINE, pid: 8 }, { ...LINE, pid: 7 }]);
    expect(loadScenario(directory)[0]!.runs.map((run) => run.length)).toEqual([2, 1, 1]);
  });

  it('knows a missing reply of lightningd for a fatal end, of a client for a closed socket', () => {
    const client = { ...LINE.client, id: 3 };
    const lines = [
      { ...LINE, reply: null },
      { ...LINE, reply: null, client },
      { ...LINE, type_num: 99, reply: null },
    ];
    const [recording] = loadScenario(scenario('expectations', lines));
    expect(recording!.runs[0]!.map((one) => one.expected.kind)).toEqual([
      'fatal',
      'client-closed',
      'nothing',
    ]);
  });

  it.each([
    ['a line that is not JSON', 'garbage' as unknown, /expected/],
    ['a missing number', { ...LINE, seq: undefined }, /`seq` must be/],
    ['a negative number', { ...LINE, type_num: -1 }, /`type_num` must be/],
    ['a client that is no object', { ...LINE, client: 5 }, /an object was expected/],
    ['a descriptor without its client', { ...LINE, type_num: 9 }, /must come together/],
  ])('refuses %s and says where', (name, line, message) => {
    const directory = scenario(`bad-${name.replaceAll(' ', '-')}`, [LINE, line]);
    expect(() => loadScenario(directory)).toThrow(message);
    expect(() => loadScenario(directory)).toThrow(/l1\.jsonl:2/);
  });

  it('says which recording is missing', () => {
    const directory = scenario('missing', [LINE]);
    rmSync(join(directory, 'l1.jsonl'));
    expect(() => loadScenario(directory)).toThrow(/names node l1, but its recording is missing/);
  });
});
