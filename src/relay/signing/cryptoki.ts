/**
 * The few functions of PKCS#11 that a signature needs (OASIS PKCS#11 2.40, with CKM_EDDSA of 3.0), called through koffi.
 * Everything here blocks: it is for a thread of its own. One session, opened when it is needed, and anew when it is lost.
 *
 * https://docs.oasis-open.org/pkcs11/pkcs11-base/v2.40/pkcs11-base-v2.40.html
 */
import { hash } from 'node:crypto';

export interface TokenKey {
  /** Path of the shared library. */
  readonly module: string;
  /** Label of the token. */
  readonly token: string;
  /** Label of the key pair. */
  readonly label: string;
}

const names: Readonly<Record<number, string>> = {
  0x5: 'CKR_GENERAL_ERROR',
  0x6: 'CKR_FUNCTION_FAILED',
  0x7: 'CKR_ARGUMENTS_BAD',
  0x30: 'CKR_DEVICE_ERROR',
  0x31: 'CKR_DEVICE_MEMORY',
  0x32: 'CKR_DEVICE_REMOVED',
  0x54: 'CKR_FUNCTION_NOT_SUPPORTED',
  0x60: 'CKR_KEY_HANDLE_INVALID',
  0x63: 'CKR_KEY_TYPE_INCONSISTENT',
  0x68: 'CKR_KEY_FUNCTION_NOT_PERMITTED',
  0x70: 'CKR_MECHANISM_INVALID',
  0x71: 'CKR_MECHANISM_PARAM_INVALID',
  0x82: 'CKR_OBJECT_HANDLE_INVALID',
  0xa0: 'CKR_PIN_INCORRECT',
  0xa1: 'CKR_PIN_INVALID',
  0xa2: 'CKR_PIN_LEN_RANGE',
  0xa3: 'CKR_PIN_EXPIRED',
  0xa4: 'CKR_PIN_LOCKED',
  0xb0: 'CKR_SESSION_CLOSED',
  0xb1: 'CKR_SESSION_COUNT',
  0xb3: 'CKR_SESSION_HANDLE_INVALID',
  0xe0: 'CKR_TOKEN_NOT_PRESENT',
  0xe1: 'CKR_TOKEN_NOT_RECOGNIZED',
  0x100: 'CKR_USER_ALREADY_LOGGED_IN',
  0x101: 'CKR_USER_NOT_LOGGED_IN',
  0x102: 'CKR_USER_PIN_NOT_INITIALIZED',
  0x190: 'CKR_CRYPTOKI_NOT_INITIALIZED',
  0x191: 'CKR_CRYPTOKI_ALREADY_INITIALIZED',
};
const [alreadyInitialized, alreadyLoggedIn] = [0x191, 0x100];
const pinRefusals = new Set([0xa0, 0xa1, 0xa2, 0xa3, 0xa4]);

/** A function of the module did not return CKR_OK. */
export class CryptokiError extends Error {
  readonly result: number;

  constructor(call: string, result: number) {
    super(`${call}: ${names[result] ?? `0x${result.toString(16)}`}`);
    this.result = result;
  }
}

/** What is asked for is not on the token. */
export class TokenError extends Error {}

type Call = (...values: unknown[]) => number;
type Calls = Readonly<Record<keyof typeof prototypes, Call>>;

/** CK_ULONG is `unsigned long`, also where handles and results are meant. */
const prototypes = {
  C_Initialize: '(void *arguments)',
  C_GetSlotList: '(uint8_t present, void *slots, _Inout_ ulong *count)',
  C_GetTokenInfo: '(ulong slot, void *info)',
  C_OpenSession: '(ulong slot, ulong flags, void *application, void *notify, _Out_ ulong *session)',
  C_CloseSession: '(ulong session)',
  C_Login: '(ulong session, ulong user, void *pin, ulong length)',
  C_FindObjectsInit: '(ulong session, void *template, ulong count)',
  C_FindObjects: '(ulong session, void *objects, ulong most, _Out_ ulong *count)',
  C_FindObjectsFinal: '(ulong session)',
  C_GetAttributeValue: '(ulong session, ulong object, void *template, ulong count)',
  C_SignInit: '(ulong session, void *mechanism, ulong key)',
  C_Sign: '(ulong session, void *data, ulong length, void *signature, _Inout_ ulong *signatureLength)',
} as const;

const [CKF_OS_LOCKING_OK, CKF_SERIAL_SESSION, CKU_USER] = [2n, 4, 1];
const [CKA_CLASS, CKA_LABEL, CKA_KEY_TYPE, CKA_EC_POINT] = [0x0, 0x3, 0x100, 0x181];
const [CKO_PUBLIC_KEY, CKO_PRIVATE_KEY, CKK_EC_EDWARDS, CKM_EDDSA] = [2, 3, 0x40, 0x1057];
const tokenInfoBytes = 1024;
const [signatureBytes, publicKeyBytes] = [64, 32];

interface OpenSession {
  readonly handle: number;
  readonly privateKey: number;
  readonly publicKey: Buffer;
}

export class Token {
  readonly #key: TokenKey;
  readonly #pin: () => string;
  readonly #calls: Calls;
  readonly #addressOf: (bytes: Buffer) => bigint;
  #session: OpenSession | null = null;
  /** A token locks itself after a few wrong PINs: one that was refused is not tried again. */
  #refusedPin: string | null = null;

  private constructor(key: TokenKey, pin: () => string, calls: Calls, addressOf: (bytes: Buffer) => bigint) {
    this.#key = key;
    this.#pin = pin;
    this.#calls = calls;
    this.#addressOf = addressOf;
  }

  /**
   * @param pin asked for at each login
   * @throws Error when koffi is not installed or the module cannot be loaded, CryptokiError
   */
  static async load(key: TokenKey, pin: () => string): Promise<Token> {
    const { default: koffi } = await import('koffi');
    const library = koffi.load(key.module);
    const entries = Object.entries(prototypes).map(([name, parameters]) => {
      const call = library.func(`ulong ${name}${parameters}`);
      return [name, (...values: unknown[]) => Number(call(...values))] as const;
    });
    const calls = Object.fromEntries(entries) as unknown as Calls;
    const token = new Token(key, pin, calls, (bytes) => BigInt(koffi.address(bytes)));
    token.#initialize();
    return token;
  }

  /** 32 bytes of Ed25519. @throws CryptokiError, TokenError */
  publicKey(): Buffer {
    return this.#open().publicKey;
  }

  /** @throws CryptokiError, TokenError */
  sign(message: Buffer): Buffer {
    const wasOpen = this.#session !== null;
    try {
      return this.#sign(message);
    } catch (error) {
      this.#drop();
      // A session may be lost at any time: the token was taken out, or its maker's program was restarted.
      if (!wasOpen) throw error;
      return this.#sign(message);
    }
  }

  #sign(message: Buffer): Buffer {
    const { handle, privateKey } = this.#open();
    const mechanism = Buffer.alloc(24);
    mechanism.writeBigUInt64LE(BigInt(CKM_EDDSA), 0);
    this.#call('C_SignInit', handle, mechanism, privateKey);
    const signature = Buffer.alloc(signatureBytes);
    const length = [signatureBytes];
    this.#call('C_Sign', handle, message, message.length, signature, length);
    return signature.subarray(0, Number(length[0]));
  }

  #open(): OpenSession {
    this.#session ??= this.#openSession();
    return this.#session;
  }

  #openSession(): OpenSession {
    const slot = this.#slot();
    const session = [0];
    this.#call('C_OpenSession', slot, CKF_SERIAL_SESSION, null, null, session);
    const handle = Number(session[0]);
    try {
      this.#login(handle);
      const publicKey = this.#publicKey(handle, this.#find(handle, CKO_PUBLIC_KEY, 'public'));
      return { handle, privateKey: this.#find(handle, CKO_PRIVATE_KEY, 'private'), publicKey };
    } catch (error) {
      this.#calls.C_CloseSession(handle);
      throw error;
    }
  }

  #drop(): void {
    if (this.#session !== null) this.#calls.C_CloseSession(this.#session.handle);
    this.#session = null;
  }

  /** CK_C_INITIALIZE_ARGS: another thread may use the same module for another key. */
  #initialize(): void {
    const given = Buffer.alloc(48);
    given.writeBigUInt64LE(CKF_OS_LOCKING_OK, 32);
    const result = this.#calls.C_Initialize(given);
    if (result !== 0 && result !== alreadyInitialized) throw new CryptokiError('C_Initialize', result);
  }

  #slot(): number {
    const count = [0];
    this.#call('C_GetSlotList', 1, null, count);
    const slots = Buffer.alloc(8 * Number(count[0]));
    this.#call('C_GetSlotList', 1, slots, count);
    for (let at = 0; at < Number(count[0]); at++) {
      const slot = Number(slots.readBigUInt64LE(8 * at));
      const info = Buffer.alloc(tokenInfoBytes);
      this.#call('C_GetTokenInfo', slot, info);
      if (info.toString('utf8', 0, 32).trimEnd() === this.#key.token) return slot;
    }
    throw new TokenError(`there is no token with the label ${this.#key.token}`);
  }

  #login(handle: number): void {
    const pin = Buffer.from(this.#pin());
    const digest = hash('sha256', pin, 'hex');
    if (digest === this.#refusedPin) throw new TokenError('the token refused this PIN before');
    const result = this.#calls.C_Login(handle, CKU_USER, pin, pin.length);
    pin.fill(0);
    if (result === 0 || result === alreadyLoggedIn) return;
    if (pinRefusals.has(result)) this.#refusedPin = digest;
    throw new CryptokiError('C_Login', result);
  }

  #find(handle: number, objectClass: number, which: string): number {
    const label = Buffer.from(this.#key.label);
    const template = this.#template([
      [CKA_CLASS, ulong(objectClass)],
      [CKA_KEY_TYPE, ulong(CKK_EC_EDWARDS)],
      [CKA_LABEL, label],
    ]);
    this.#call('C_FindObjectsInit', handle, template.bytes, 3);
    const [objects, count] = [Buffer.alloc(16), [0]];
    this.#call('C_FindObjects', handle, objects, 2, count);
    this.#call('C_FindObjectsFinal', handle);
    if (Number(count[0]) === 1) return Number(objects.readBigUInt64LE(0));
    const found = Number(count[0]) === 0 ? 'no' : 'more than one';
    throw new TokenError(`the token has ${found} ${which} Ed25519 key with the label ${this.#key.label}`);
  }

  /** The point: 32 bytes, or these in a DER OCTET STRING as 2.40 has it. */
  #publicKey(handle: number, object: number): Buffer {
    const value = Buffer.alloc(128);
    const template = this.#template([[CKA_EC_POINT, value]]);
    this.#call('C_GetAttributeValue', handle, object, template.bytes, 1);
    const point = value.subarray(0, Number(template.bytes.readBigUInt64LE(16)));
    if (point.length === publicKeyBytes) return Buffer.from(point);
    if (point.length === publicKeyBytes + 2 && point[0] === 0x04 && point[1] === publicKeyBytes)
      return Buffer.from(point.subarray(2));
    throw new TokenError('the token’s public key is not one of Ed25519');
  }

  /** CK_ATTRIBUTE, one after another; `values` are kept alive with it. */
  #template(values: readonly (readonly [type: number, value: Buffer])[]): {
    readonly bytes: Buffer;
    readonly values: typeof values;
  } {
    const bytes = Buffer.alloc(24 * values.length);
    for (const [at, [type, value]] of values.entries()) {
      bytes.writeBigUInt64LE(BigInt(type), 24 * at);
      bytes.writeBigUInt64LE(this.#addressOf(value), 24 * at + 8);
      bytes.writeBigUInt64LE(BigInt(value.length), 24 * at + 16);
    }
    return { bytes, values };
  }

  #call(name: keyof typeof prototypes, ...values: unknown[]): void {
    const result = this.#calls[name](...values);
    if (result !== 0) throw new CryptokiError(name, result);
  }
}

function ulong(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}
