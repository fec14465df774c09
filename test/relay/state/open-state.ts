/** One of several processes that open the state at once (state.test.ts). */
import { State } from '../../../src/relay/state/state.ts';

process.once('message', () => {
  void State.open(process.argv[2]!)
    .then((state) => state.close())
    .then(() => process.disconnect());
});
process.send?.('ready');
