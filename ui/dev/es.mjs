// Answers Elasticsearch search bodies from an array of documents: just enough for the console's own questions.

const ALIASES = { status: "http_status", model: "model_name", service: "service_name", tag: "tags" };
const name = (field) => ALIASES[field] ?? field;

export class QueryError extends Error {
  constructor(message, position) {
    super(message);
    this.position = position;
  }
}

export function search(docs, body) {
  const started = performance.now();
  const test = compile(body.query ?? { match_all: {} });
  const found = docs.filter(test);
  let ordered = sorted(found, body.sort ?? []);
  if (body.search_after) {
    // The sequence number closes every order of the console.
    const at = ordered.findIndex((doc) => doc.seq === body.search_after.at(-1));
    ordered = ordered.slice(at + 1);
  }
  const hits = ordered.slice(body.from ?? 0, (body.from ?? 0) + (body.size ?? 10));
  const answer = {
    took: 0,
    timed_out: false,
    _shards: { total: 1, successful: 1, skipped: 0, failed: 0 },
    hits: {
      total: { value: found.length, relation: "eq" },
      max_score: null,
      hits: hits.map((doc) => ({
        ...hit(doc, body._source),
        sort: (body.sort ?? []).map((entry) => doc[name(Object.keys(entry)[0])] ?? null),
      })),
    },
  };
  if (body.aggs) answer.aggregations = aggregate(found, body.aggs, docs);
  answer.took = Math.round(performance.now() - started);
  return answer;
}

function hit(doc, fields) {
  const source = Array.isArray(fields)
    ? Object.fromEntries(Object.entries(doc).filter(([key]) => fields.includes(key)))
    : doc;
  const day = doc["@timestamp"].slice(0, 10).replaceAll("-", ".");
  return { _index: `${doc.service_name}-${day}`, _id: String(doc.seq), _score: null, _source: source };
}

function sorted(docs, sort) {
  const keys = sort.map((entry) => {
    const [field, options] = Object.entries(entry)[0];
    return { field: name(field), sign: (options.order ?? options) === "desc" ? -1 : 1 };
  });
  if (keys.length === 0) return docs;
  return [...docs].sort((a, b) => {
    for (const { field, sign } of keys) {
      const [x, y] = [a[field], b[field]];
      if (x === y) continue;
      if (x === undefined) return 1;
      if (y === undefined) return -1;
      return (x < y ? -1 : 1) * sign;
    }
    return 0;
  });
}

function compile(query) {
  const [kind, value] = Object.entries(query)[0];
  const entry = () => Object.entries(value)[0];
  switch (kind) {
    case "match_all":
      return () => true;
    case "term": {
      const [field, wanted] = entry();
      return (doc) => values(doc, field).includes(typeof wanted === "object" ? wanted.value : wanted);
    }
    case "exists":
      return (doc) => values(doc, value.field).length > 0;
    case "range": {
      const [field, bounds] = entry();
      const moment = (bound) => (field === "@timestamp" && typeof bound === "string" ? Date.parse(bound) : bound);
      const [gte, gt, lte, lt] = [bounds.gte, bounds.gt, bounds.lte, bounds.lt].map((bound) =>
        bound === undefined ? undefined : moment(bound),
      );
      return (doc) =>
        values(doc, field)
          .map(moment)
          .some(
            (one) =>
              (gte === undefined || one >= gte) &&
              (gt === undefined || one > gt) &&
              (lte === undefined || one <= lte) &&
              (lt === undefined || one < lt),
          );
    }
    case "bool": {
      const all = [...[value.filter ?? []].flat(), ...[value.must ?? []].flat()].map(compile);
      const none = [value.must_not ?? []].flat().map(compile);
      const any = [value.should ?? []].flat().map(compile);
      return (doc) =>
        all.every((test) => test(doc)) &&
        !none.some((test) => test(doc)) &&
        (any.length === 0 || any.some((test) => test(doc)));
    }
    case "terms": {
      const [field, wanted] = entry();
      return (doc) => values(doc, field).some((one) => wanted.includes(one));
    }
    case "query_string":
      return lucene(value.query);
    case "kql":
      return lucene(fromKql(value.query));
    default:
      throw new QueryError(`unknown query [${kind}]`, null);
  }
}

function values(doc, field) {
  const value = doc[name(field)];
  if (value === undefined || value === null) return [];
  return Array.isArray(value) ? value : [value];
}

function aggregate(docs, aggs, all) {
  return Object.fromEntries(Object.entries(aggs).map(([key, agg]) => [key, one(docs, agg, all)]));
}

function one(docs, agg, all) {
  const nested = (part) => ({ doc_count: part.length, ...(agg.aggs ? aggregate(part, agg.aggs, all) : {}) });
  if (agg.filters) {
    const parts = Object.entries(agg.filters.filters);
    return { buckets: Object.fromEntries(parts.map(([key, clause]) => [key, nested(docs.filter(compile(clause)))])) };
  }
  if (agg.max) {
    const list = docs.flatMap((doc) => values(doc, agg.max.field)).map((one) => (typeof one === "string" ? Date.parse(one) : one));
    return { value: list.length === 0 ? null : list.reduce((a, b) => Math.max(a, b)) };
  }
  if (agg.significant_terms) return significant(docs, all, agg.significant_terms);
  const numbers = (field) => docs.flatMap((doc) => values(doc, field)).filter((value) => typeof value === "number");
  if (agg.filter) return nested(docs.filter(compile(agg.filter)));
  if (agg.sum) return { value: numbers(agg.sum.field).reduce((sum, value) => sum + value, 0) };
  if (agg.avg) {
    const list = numbers(agg.avg.field);
    return { value: list.length === 0 ? null : list.reduce((sum, value) => sum + value, 0) / list.length };
  }
  if (agg.percentiles) {
    const list = numbers(agg.percentiles.field).sort((a, b) => a - b);
    return {
      values: Object.fromEntries(
        agg.percentiles.percents.map((percent) => [percent.toFixed(1), quantile(list, percent / 100)]),
      ),
    };
  }
  if (agg.date_histogram) {
    const { fixed_interval: interval, extended_bounds: bounds } = agg.date_histogram;
    const width = Number.parseInt(interval, 10) * 1000;
    const parts = new Map();
    const start = (ms) => Math.floor(ms / width) * width;
    if (bounds) for (let at = start(bounds.min); at <= bounds.max; at += width) parts.set(at, []);
    for (const doc of docs) {
      const at = start(Date.parse(doc["@timestamp"]));
      if (!parts.has(at)) parts.set(at, []);
      parts.get(at).push(doc);
    }
    const list = [...parts].sort(([a], [b]) => a - b);
    return {
      buckets: list.map(([key, part]) => ({ key_as_string: new Date(key).toISOString(), key, ...nested(part) })),
    };
  }
  if (agg.terms) {
    const { field, size = 10, missing, order = { _count: "desc" } } = agg.terms;
    const parts = new Map();
    for (const doc of docs) {
      const found = values(doc, field);
      for (const value of found.length === 0 && missing !== undefined ? [missing] : found) {
        if (!parts.has(value)) parts.set(value, []);
        parts.get(value).push(doc);
      }
    }
    const list = [...parts].map(([key, part]) => ({ key, ...nested(part) }));
    const [by, direction] = Object.entries(order)[0];
    const rank = (bucket) => (by === "_count" ? bucket.doc_count : by === "_key" ? bucket.key : bucket[by].value);
    list.sort((a, b) => (rank(a) < rank(b) ? -1 : rank(a) > rank(b) ? 1 : 0) * (direction === "desc" ? -1 : 1));
    const rest = list.slice(size).reduce((sum, bucket) => sum + bucket.doc_count, 0);
    return { doc_count_error_upper_bound: 0, sum_other_doc_count: rest, buckets: list.slice(0, size) };
  }
  throw new QueryError(`unknown aggregation [${Object.keys(agg)[0]}]`, null);
}

/** Values that are more frequent here than in the background, with the JLH score. */
function significant(docs, all, { field, size, background_filter: filter }) {
  const background = all.filter(compile(filter));
  const count = (list) => {
    const counts = new Map();
    for (const doc of list) for (const value of values(doc, field)) counts.set(value, (counts.get(value) ?? 0) + 1);
    return counts;
  };
  const there = count(background);
  const list = [...count(docs)].map(([key, here]) => {
    const share = here / docs.length;
    const base = (there.get(key) ?? here) / Math.max(background.length, 1);
    return { key, doc_count: here, bg_count: there.get(key) ?? here, score: share > base ? (share - base) * (share / base) : 0 };
  });
  const buckets = list.filter(({ score, doc_count: here }) => score > 0 && here >= 3).sort((a, b) => b.score - a.score);
  return { doc_count: docs.length, bg_count: background.length, buckets: buckets.slice(0, size) };
}

/** As much of KQL as the mock needs, written as Lucene. */
function fromKql(text) {
  return text
    .replace(/([\w@.]+)\s*(>=|<=|>|<)\s*(-?[\d.]+)/g, "$1:$2$3")
    .replace(/([\w@.]+)\s*:\s+/g, "$1:")
    .replace(/\b(and|or|not)\b/g, (word) => word.toUpperCase());
}

function quantile(sortedList, share) {
  if (sortedList.length === 0) return null;
  const at = (sortedList.length - 1) * share;
  const low = sortedList[Math.floor(at)];
  const high = sortedList[Math.ceil(at)];
  return low + (high - low) * (at - Math.floor(at));
}

/** A small part of Lucene's syntax: field:value, "phrases", [a TO b], > <, *, AND OR NOT, brackets. */
function lucene(text) {
  const sign =
    /\s+|(AND|OR|NOT)\b|([()])|(?:([@\w.]+):)?(\[[^\]]*\]|\{[^}]*\}|"(?:[^"\\]|\\.)*"|[<>]=?-?[\d.]+|(?:[^\s()":\\]|\\.)+)/y;
  const tokens = [];
  while (sign.lastIndex < text.length) {
    const at = sign.lastIndex;
    const match = sign.exec(text);
    if (match === null)
      throw new QueryError(
        `cannot read the query: unexpected ${text[at] === '"' ? "quote without an end" : `"${text[at]}"`}`,
        at,
      );
    const [, word, bracket, field, value] = match;
    if (word) tokens.push({ kind: word, at });
    else if (bracket) tokens.push({ kind: bracket, at });
    else if (value) tokens.push({ kind: "clause", field, value, at });
  }
  let place = 0;
  const peek = () => tokens[place]?.kind;
  const any = () => {
    const tests = [all()];
    while (peek() === "OR") {
      place++;
      tests.push(all());
    }
    return (doc) => tests.some((test) => test(doc));
  };
  const all = () => {
    const tests = [unary()];
    while (peek() === "AND" || peek() === "clause" || peek() === "NOT" || peek() === "(") {
      if (peek() === "AND") place++;
      tests.push(unary());
    }
    return (doc) => tests.every((test) => test(doc));
  };
  const unary = () => {
    const token = tokens[place];
    if (token === undefined)
      throw new QueryError("cannot read the query: it ends where a condition was expected", text.length);
    place++;
    if (token.kind === "NOT") {
      const test = unary();
      return (doc) => !test(doc);
    }
    if (token.kind === "(") {
      const test = any();
      if (peek() !== ")") throw new QueryError("cannot read the query: a bracket is not closed", token.at);
      place++;
      return test;
    }
    if (token.kind !== "clause") throw new QueryError(`cannot read the query: unexpected ${token.kind}`, token.at);
    return condition(token);
  };
  const test = any();
  if (place < tokens.length)
    throw new QueryError(`cannot read the query: unexpected ${tokens[place].kind}`, tokens[place].at);
  return test;
}

function condition({ field, value }) {
  const range = /^[[{](\S+) TO (\S+)[\]}]$/.exec(value);
  if (range) {
    const [low, high] = [range[1], range[2]].map((end, at) =>
      end === "*" ? (at === 0 ? -Infinity : Infinity) : Number(end),
    );
    return (doc) => values(doc, field).some((found) => found >= low && found <= high);
  }
  const compared = /^([<>]=?)(-?[\d.]+)$/.exec(value);
  if (compared) {
    const limit = Number(compared[2]);
    const holds = { ">": (x) => x > limit, ">=": (x) => x >= limit, "<": (x) => x < limit, "<=": (x) => x <= limit }[
      compared[1]
    ];
    return (doc) => values(doc, field).some(holds);
  }
  const plain = value.replace(/^"(.*)"$/s, "$1").replace(/\\(.)/g, "$1");
  if (plain === "*" && field) return (doc) => values(doc, field).length > 0;
  if (plain.endsWith("*") && field)
    return (doc) => values(doc, field).some((found) => String(found).startsWith(plain.slice(0, -1)));
  if (field) return (doc) => values(doc, field).some((found) => String(found) === plain);
  const wanted = plain.toLowerCase();
  return (doc) => `${doc.msg} ${doc.error ?? ""}`.toLowerCase().includes(wanted);
}
