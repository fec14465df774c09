import * as Flags from '@oclif/core/flags';
import { listReviews } from '../../agent/review-client.ts';
import { RelayCommand } from '../../cli/relay-command.ts';
import { reviewHeads, reviewRow } from '../../cli/reviews/review-view.ts';
import { watchReviews } from '../../cli/reviews/watch.ts';
import { reviewStates } from '../../wire/reviews.ts';

export default class Reviews extends RelayCommand {
  static override description = 'list commands that wait for people: your own, and those that you may review';
  static override examples = [
    '<%= config.bin %> reviews',
    '<%= config.bin %> reviews --watch   # each new one, with the commands that decide it',
    '<%= config.bin %> reviews --state rejected --mine',
  ];
  static override aliases = ['reviews:list'];
  static override flags = {
    state: Flags.option({ options: reviewStates })({
      description: 'only those in this state; pending otherwise',
    }),
    all: Flags.boolean({ description: 'in whatever state, newest first', exclusive: ['state'] }),
    mine: Flags.boolean({ description: 'only your own requests', default: false }),
    watch: Flags.boolean({
      description: 'go on and tell of each change; with --json one document a line',
      exclusive: ['state', 'all'],
    }),
  };

  async run(): Promise<unknown> {
    const { flags } = await this.parse(Reviews);
    const { mine } = flags;
    return this.withAccount(flags, async (account) => {
      const state = flags.all ? null : (flags.state ?? 'pending');
      const list = await listReviews(account, { state, mine });
      if (flags.watch) {
        await watchReviews(this, account, list, mine);
        return undefined;
      }
      const { reviews } = list;
      if (reviews.length === 0) this.note(state === null ? 'no reviews' : `no ${state} reviews`);
      else this.printTable(reviewHeads, reviews.map(reviewRow));
      return { reviews };
    });
  }
}
