/** Files under way at a time. */
export const atOnce = 8;

/** Some at a time; the first failure is thrown when all under way have ended. */
export async function inParallel(work: readonly (() => Promise<void>)[]): Promise<void> {
  const waiting = [...work];
  const workers = Array.from({ length: Math.min(atOnce, waiting.length) }, async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) await next();
  });
  const failed = (await Promise.allSettled(workers)).find((ended) => ended.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}
