/** Branded identifiers: a string that was checked once, at the edge, and cannot be confused with another. */
declare const brand: unique symbol;
type Branded<T, Name extends string> = T & { readonly [brand]: Name };

/** ULID, 26 characters of Crockford base32; sorts by the time the session was opened. */
export type SessionId = Branded<string, 'SessionId'>;
/** A sign-in at one relay (ULID); lives until logout, revocation, or a renewal that fails. */
export type LoginId = Branded<string, 'LoginId'>;
/** Name of a target as configured: `[a-z0-9][a-z0-9-]{0,62}`. */
export type TargetName = Branded<string, 'TargetName'>;

const ulid = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/;
const targetName = /^[a-z0-9][a-z0-9-]{0,62}$/;

export const isSessionId = (text: string): text is SessionId => ulid.test(text);
export const isLoginId = (text: string): text is LoginId => ulid.test(text);
export const isTargetName = (text: string): text is TargetName => targetName.test(text);
