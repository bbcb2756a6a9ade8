// What k6's modules offer to a script, for Node: requests are sent by curl, one after the other.
import { execFileSync } from "node:child_process";

export const __ENV = process.env;
export const sleep = () => {};

export function check(response, conditions) {
  for (const [name, holds] of Object.entries(conditions)) {
    if (!holds(response)) throw new Error(`${name}, and it is ${response.status}: ${response.body}`);
  }
}

export const encoding = { b64decode: (text) => Buffer.from(text, "base64") };

class CookieJar {}

function request(method, url, body, { headers }) {
  const fields = Object.entries(headers).flatMap(([name, value]) => ["--header", `${name}: ${value}`]);
  const content = body === null ? [] : ["--data-binary", "@-"];
  const command = ["--silent", "--noproxy", "*", "--include", "--request", method, ...fields, ...content, url];
  const [head, ...rest] = execFileSync("curl", command, { input: body ?? "" }).toString().split("\r\n\r\n");
  const [status, ...lines] = head.split("\r\n");
  const received = Object.fromEntries(lines.map((line) => [canonical(line.split(":")[0]), line.split(/:\s*(.*)/)[1]]));
  const [cookie, value] = (received["Set-Cookie"] ?? "=").split(";")[0].split(/=(.*)/);
  const text = rest.join("\r\n\r\n");
  return {
    status: Number(status.split(" ")[1]),
    body: text,
    headers: received,
    cookies: { [cookie]: [{ value }] },
    json: () => JSON.parse(text),
    html: (selector) => ({ attr: (name) => attribute(text, selector, name) }),
  };
}

function canonical(name) {
  return name.toLowerCase().replace(/(^|-)[a-z]/g, (letter) => letter.toUpperCase());
}

// Of a page's element [name="NAME"].
function attribute(page, selector, name) {
  const tag = page.match(/<[^>]*>/g).find((one) => one.includes(selector.slice(1, -1)));
  return tag.match(new RegExp(`${name}="([^"]*)"`))?.[1];
}

export const http = { request, CookieJar };
