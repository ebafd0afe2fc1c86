import { createHash, createHmac } from "node:crypto";

export interface SigningKey {
  readonly region: string;
  readonly accessKey: string;
  readonly secretKey: string;
}

/**
 * The headers that sign one request to an S3 server (AWS Signature Version 4): every header that it returns, and `host`.
 * @param url its path must need no escaping, as that of our own objects.
 */
export function signedHeaders(
  { method, url, body = "" }: { readonly method: string; readonly url: string; readonly body?: string },
  { region, accessKey, secretKey }: SigningKey,
  now: Date,
): Readonly<Record<string, string>> {
  const { host, pathname, searchParams } = new URL(url);
  const time = now.toISOString().replace(/[-:]|\.\d+/g, "");
  const scope = `${time.slice(0, 8)}/${region}/s3/aws4_request`;
  const content = sha256(body);
  searchParams.sort();
  const headers = [`host:${host}`, `x-amz-content-sha256:${content}`, `x-amz-date:${time}`];
  const names = "host;x-amz-content-sha256;x-amz-date";
  const request = [method, pathname, searchParams.toString(), ...headers, "", names, content].join("\n");
  const key = scope.split("/").reduce<string | Buffer>(hmac, `AWS4${secretKey}`);
  const signature = hmac(key, ["AWS4-HMAC-SHA256", time, scope, sha256(request)].join("\n")).toString("hex");
  return {
    "x-amz-content-sha256": content,
    "x-amz-date": time,
    authorization: `AWS4-HMAC-SHA256 Credential=${accessKey}/${scope},SignedHeaders=${names},Signature=${signature}`,
  };
}

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");
const hmac = (key: string | Buffer, text: string): Buffer => createHmac("sha256", key).update(text).digest();
