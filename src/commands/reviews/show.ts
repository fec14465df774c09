import * as Args from '@oclif/core/args';
import { findReview } from '../../agent/review-client.ts';
import { RelayCommand } from '../../cli/relay-command.ts';
import { reviewLines } from '../../cli/reviews/review-view.ts';
import { textSurface } from '../../cli/sql-text.ts';

export default class ReviewsShow extends RelayCommand {
  static override description = 'show a review: who asks, what the command does, its whole text';
  static override examples = ['<%= config.bin %> reviews show 01JD4Q3M9RAN8C8A2Z4H5W6X7Y'];
  static override args = {
    review: Args.string({ description: 'id, or its first characters (hoop reviews)', required: true }),
  };

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(ReviewsShow);
    return this.withAccount(flags, async (account) => {
      const review = await findReview(account, args.review);
      for (const line of reviewLines(review, textSurface())) this.print(line);
      return review;
    });
  }
}
