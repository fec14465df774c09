/** What was used once is not used again: proofs, signed requests, ID tokens. */
export interface ReplayCache {
  /**
   * True the first time, over all processes that share the store; false ever after, until `expiresAtMs`.
   * @param id at most 200 printable characters
   * @param expiresAtMs wall clock; after it the thing is refused for its age anyway
   */
  firstUse(id: string, expiresAtMs: number): Promise<boolean>;
}
