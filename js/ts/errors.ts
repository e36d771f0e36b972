/** Codes that the package adds to those of the core. */
export type ShellCode = "DISPOSED" | "FETCH" | "RANDOM" | "TRAP" | "TRUST" | "WASM";

/** Codes of the core; numbers and meanings stand on the module's ABI page. */
export type CoreCode =
  | "UNSIGNED"
  | "BAD_SIGNATURE"
  | "DIGEST"
  | "WRONG_TYPE"
  | "UNTRUSTED_KEY"
  | "MALFORMED"
  | "LENGTH"
  | "LIMIT"
  | "PARTS"
  | "INCOMPATIBLE"
  | "SCHEMA"
  | "MODEL"
  | "POLICY"
  | "SELF_TEST"
  | "NOT_YET"
  | "REQUEST"
  | "MISUSE";

export type Code = ShellCode | CoreCode;

/** Wrong use, or a bundle that is refused. `code` is stable, the message is for people. */
export class TollgateError extends Error {
  override readonly name = "TollgateError";

  constructor(
    readonly code: Code,
    message: string,
    options?: ErrorOptions,
  ) {
    super(`${message} [${code}]`, options);
  }
}

/** The error that a text of the core stands for: `CODE: what is wrong`. */
export function fromText(text: string): TollgateError {
  const colon = text.indexOf(": ");
  return new TollgateError(text.slice(0, colon) as Code, text.slice(colon + 2));
}
