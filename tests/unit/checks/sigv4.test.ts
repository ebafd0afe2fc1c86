import { expect, it } from "vitest";
import { signedHeaders } from "#checks/sigv4.ts";

// Examples of AWS's documentation, "Signature Calculations for the Authorization Header".
const key = {
  region: "us-east-1",
  accessKey: "AKIAIOSFODNN7EXAMPLE",
  secretKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
};
const now = new Date("2013-05-24T00:00:00Z");
const host = "https://examplebucket.s3.amazonaws.com";

it.each([
  ["/?lifecycle", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"],
  ["/?prefix=J&max-keys=2", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"],
])("signs GET %s as its example", (path, signature) =>
  expect(signedHeaders({ method: "GET", url: host + path }, key, now)).toEqual({
    "x-amz-content-sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "x-amz-date": "20130524T000000Z",
    authorization: `AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=host;x-amz-content-sha256;x-amz-date,Signature=${signature}`,
  }),
);

it("signs what is sent", () => {
  const put = (body: string) => signedHeaders({ method: "PUT", url: `${host}/a`, body }, key, now);
  expect(put("one")["x-amz-content-sha256"]).not.toBe(put("two")["x-amz-content-sha256"]);
  expect(put("one")["authorization"]).not.toBe(put("two")["authorization"]);
});
