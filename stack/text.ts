/**
 * How a secret is written into its place: as it is, percent-encoded for a URL, between the quotes of an SQL literal,
 * as the hex SHA-256 that a Redis ACL file takes, or hashed as in mosquitto's password file. runtime/host.py has the
 * same five.
 */
export type SecretEncoding = "plain" | "url" | "sql" | "sha256" | "mosquitto";

/** A place that the maker fills when it writes the text to its owner. */
export interface SecretHole {
  readonly secret: string;
  readonly as: SecretEncoding;
}

/** Text whose secret parts are named, not known: plans stay printable. */
export type Text = readonly (string | SecretHole)[];

export const hole = (secret: string, as: SecretEncoding = "plain"): SecretHole => ({ secret, as });

export const secretsIn = (text: Text): readonly string[] =>
  text.flatMap((part) => (typeof part === "string" ? [] : [part.secret]));

/** The text with `(secret NAME)` in each hole. */
export const printable = (text: Text): string =>
  text.map((part) => (typeof part === "string" ? part : `(secret ${part.secret})`)).join("");
