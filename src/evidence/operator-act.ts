import { z } from 'zod';

/** Somebody at the relay's own machine, with the rights of its user: no login, so nothing here is proven but that. */
export const OperatorAct = z.object({
  /** Name of the account on that machine, as the machine told it; `ana as hoop` where one took another's rights. */
  account: z.string().max(128),
  reason: z.string().max(1024).nullable(),
});
export type OperatorAct = z.infer<typeof OperatorAct>;
