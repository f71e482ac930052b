import type { TestApi, TestMember } from "./api.js";

export interface GraphqlAnswer {
  status: number;
  headers: Headers;
  // Tests look into answers of every shape.
  data: Record<string, unknown> | null | undefined;
  errors: { message: string; path?: unknown; extensions: Record<string, unknown> }[] | undefined;
}

/** Sends a document over HTTP. */
export async function send(
  api: Pick<TestApi, "url">,
  query: string,
  variables: Record<string, unknown> = {},
  headers: Record<string, string> = {},
): Promise<GraphqlAnswer> {
  const response = await fetch(`${api.url}/graphql`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = (await response.json()) as Pick<GraphqlAnswer, "data" | "errors">;
  return { status: response.status, headers: response.headers, data, errors };
}

/** The one root field of an operation that must succeed. */
export async function ask<T>(
  api: Pick<TestApi, "url">,
  member: TestMember,
  query: string,
  variables: Record<string, unknown> = {},
): Promise<T> {
  const { data, errors } = await send(api, query, variables, member.headers);
  if (errors !== undefined) throw new Error(JSON.stringify(errors));
  return Object.values(data ?? {})[0] as T;
}
