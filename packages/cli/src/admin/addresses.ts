/**
 * Output scripts as people know them: the address where there is one, else the script in hex.
 */
import { fromHex, scriptToAddress } from '@countersign/bitcoin';
import { networkByName } from '@countersign/core';

export function addressOf(scriptHex: string, networkName: string): string {
  const network = networkByName(networkName);
  if (network === undefined || !/^([0-9a-f]{2})+$/.test(scriptHex)) return `script ${scriptHex}`;
  return scriptToAddress(fromHex(scriptHex), network.name) ?? `script ${scriptHex}`;
}
