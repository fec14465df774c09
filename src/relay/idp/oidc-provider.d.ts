/** The part of oidc-provider 9 that the embedded provider uses; the package has no types of its own. */
declare module 'oidc-provider' {
  import type { IncomingMessage, ServerResponse } from 'node:http';

  export interface AdapterPayload {
    jti?: unknown;
    grantId?: unknown;
    accountId?: unknown;
    userCode?: unknown;
    uid?: unknown;
    [claim: string]: unknown;
  }

  export interface Adapter {
    upsert(id: string, payload: AdapterPayload, expiresIn: number | undefined): Promise<void>;
    find(id: string): Promise<AdapterPayload | undefined>;
    findByUserCode(userCode: string): Promise<AdapterPayload | undefined>;
    findByUid(uid: string): Promise<AdapterPayload | undefined>;
    consume(id: string): Promise<void>;
    destroy(id: string): Promise<void>;
    revokeByGrantId(grantId: string): Promise<void>;
  }

  export interface Client {
    readonly clientId: string;
    readonly clientName?: string;
  }

  export interface Grant {
    addOIDCScope(scope: string): void;
    save(): Promise<string>;
  }

  export interface OidcSession {
    accountId?: string;
    state?: { secret: string };
    /** Undefined until it is first saved. */
    readonly exp?: number;
    touched: boolean;
    destroy(): Promise<void>;
  }

  export interface OidcContext {
    readonly provider: Provider;
    readonly client: Client;
    readonly session: OidcSession;
    readonly account?: Account;
    readonly result?: { login?: { accountId: string } };
    readonly requestParamOIDCScopes: ReadonlySet<string>;
    /** Parameters of a form post, as they came. */
    readonly body?: Readonly<Record<string, string | string[] | undefined>>;
    readonly entities: {
      readonly AccessToken?: { readonly jkt?: string; readonly grantId?: string };
      readonly DeviceCode?: { readonly deviceInfo?: DeviceInfo };
      readonly Grant?: { readonly exp?: number };
    };
    urlFor(route: string): string;
  }

  /** Koa's context, as far as it is used. */
  export interface Context {
    readonly req: IncomingMessage;
    readonly res: ServerResponse;
    readonly oidc: OidcContext;
    readonly method: string;
    readonly path: string;
    readonly ip: string;
    readonly query: Readonly<Record<string, string | string[] | undefined>>;
    status: number;
    type: string;
    body: unknown;
    url: string;
    readonly state: Record<string, unknown>;
    get(header: string): string;
    set(header: string, value: string): void;
    redirect(url: string): void;
  }

  export interface Account {
    readonly accountId: string;
    claims(use: string, scope: string): Record<string, unknown> | Promise<Record<string, unknown>>;
  }

  export interface Interaction {
    readonly uid: string;
    readonly prompt: { readonly name: string };
    /** Id of the device code whose confirmation led here. */
    readonly deviceCode?: string;
  }

  export interface DeviceCode {
    /** Of the request that made it; untrusted. */
    readonly params: Readonly<Record<string, unknown>>;
    error?: string;
    errorDescription?: string;
    save(): Promise<string>;
  }

  /** What an account is asked for. */
  export interface TokenOfAccount {
    readonly kind: string;
    readonly consumed?: unknown;
  }

  export interface DeviceInfo {
    readonly ip: string;
    readonly ua: string;
    /** What the terminal says of itself; '' when it does not. Safe to show, escaped. */
    readonly host: string;
    readonly user: string;
    readonly askedAtMs: number;
    /** Of the key that alone may redeem the code (RFC 7638); null: the client named none. */
    readonly jkt: string | null;
  }

  export interface ErrorOut {
    readonly error: string;
    readonly error_description?: string;
  }

  export interface Configuration {
    readonly adapter: (model: string) => Adapter;
    readonly [setting: string]: unknown;
  }

  type Middleware = (context: Context, next: () => Promise<void>) => Promise<void>;

  export class Provider {
    constructor(issuer: string, configuration: Configuration);
    readonly issuer: string;
    proxy: boolean;
    readonly DeviceCode: { find(id: string): Promise<DeviceCode | undefined> };
    readonly Grant: new (properties: { accountId: string; clientId: string }) => Grant;
    use(middleware: Middleware): this;
    on(event: string, listener: (...values: never[]) => void): this;
    callback(): (request: IncomingMessage, response: ServerResponse) => Promise<void>;
    interactionDetails(request: IncomingMessage, response: ServerResponse): Promise<Interaction>;
    interactionResult(request: IncomingMessage, response: ServerResponse, result: object): Promise<string>;
  }

  export namespace interactionPolicy {
    class Check {
      readonly reason: string;
      constructor(reason: string, description: string, check: (context: Context) => boolean);
    }
    class Prompt {
      readonly name: string;
      constructor(description: { name: string; requestable: boolean }, ...checks: Check[]);
    }
    interface Policy {
      clear(): void;
      add(prompt: Prompt): void;
    }
    function base(): Policy;
  }

  export namespace errors {
    class OIDCProviderError extends Error {}
    class InvalidGrant extends OIDCProviderError {
      constructor(detail: string);
    }
    /** Answered with status 400. */
    class CustomOIDCProviderError extends OIDCProviderError {
      constructor(code: string, description: string);
    }
    class SessionNotFound extends OIDCProviderError {}
  }
}
