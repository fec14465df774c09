/** The outside world's time. Deadlines use `monotonicMs`; only what people read uses `wallMs`. */
export interface Clock {
  /** Milliseconds since the epoch; may jump. */
  wallMs(): number;
  /** Milliseconds since some fixed point; never goes backwards; fraction holds microseconds. */
  monotonicMs(): number;
}

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
};
