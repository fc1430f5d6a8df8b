// Reads a stream of server-sent events out of text that arrives in arbitrary pieces.

/** A line longer than this is not an event of ours; the stream is given up. */
const LINE_CHARS_MAX = 4 * 1024 * 1024;

export class EventReader {
  #rest = "";
  #data: string[] = [];

  /** The `data` of each event that this piece completes. */
  push(piece: string): string[] {
    const events: string[] = [];
    const lines = (this.#rest + piece).split("\n");
    this.#rest = lines.pop() ?? "";
    if (this.#rest.length > LINE_CHARS_MAX) throw new Error("the stream has a line without an end");
    for (const raw of lines) {
      const line = raw.endsWith("\r") ? raw.slice(0, -1) : raw;
      if (line === "") {
        if (this.#data.length > 0) events.push(this.#data.join("\n"));
        this.#data = [];
      } else if (line.startsWith("data:")) {
        this.#data.push(line.slice(line[5] === " " ? 6 : 5));
      }
    }
    return events;
  }
}
