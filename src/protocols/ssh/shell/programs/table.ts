/** All programs that are known. */
import type { Rule } from '../rules.ts';
import { withTransfers } from '../transfers.ts';
import { does } from '../rules.ts';
import { builtins } from './builtins.ts';
import { network } from './network.ts';
import { readers } from './readers.ts';
import { isMachineProgram, system } from './system.ts';
import { wrappers } from './wrappers.ts';
import { writers } from './writers.ts';

const rules = new Map<string, Rule>(
  Object.entries(withTransfers({ ...readers, ...writers, ...system, ...network, ...wrappers, ...builtins })),
);
const machine = does('system', 'unbounded', 'write');

/** By the name alone; undefined: nothing is known of it. */
export const ruleOf = (name: string): Rule | undefined =>
  rules.get(name) ?? (isMachineProgram(name) ? machine : undefined);
