// Writes a search as a line for the shell, against the Elasticsearch API of the house.

export function curlSearch(origin: string, service: string, body: unknown): string {
  // A quote in the body must not end the shell's quotes.
  const quoted = JSON.stringify(body).replaceAll("'", "'\\''");
  const address = `${origin.replace(/\/+$/, "")}/es/${service}-*/_search`;
  return `curl -s '${address}' \\\n  -H "X-Api-Key: $KEY" -H 'Content-Type: application/json' \\\n  -d '${quoted}'`;
}
