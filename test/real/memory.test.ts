/** Large results and statements pass without being held: the processes' memory is sampled while they do. */
import { after, test } from 'node:test';
import { missing } from '../support/programs.ts';
import { largeResult, largeStatement } from './memory.ts';
import { startStage } from '../support/relay.ts';

const skip = missing('postgresql');
const stage = skip ? null : await startStage();
after(() => stage?.close());

test('a result of 256 MiB', { skip }, () => largeResult(stage!, 256));
test('a statement of 16 MiB', { skip }, () => largeStatement(stage!, 16));
