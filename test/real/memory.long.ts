import { after, test } from 'node:test';
import { missing } from '../support/programs.ts';
import { largeResult, largeStatement } from './memory.ts';
import { startStage } from '../support/relay.ts';

const skip = missing('postgresql');
const stage = skip ? null : await startStage();
after(() => stage?.close());

test('a result of 1 GiB', { skip }, () => largeResult(stage!, 1024));
test('a statement of 63 MiB', { skip }, () => largeStatement(stage!, 63));
