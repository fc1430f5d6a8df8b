// Pictures and files of text that go with a question, within the bounds that the server has too.

export interface Attachment {
  name: string;
  /** `data:image/png;base64,…` */
  image?: string;
  text?: string;
}

export const ATTACHMENTS_MAX = 8;
export const IMAGE_BYTES_MAX = 4 * 1024 * 1024;
export const TEXT_BYTES_MAX = 256 * 1024;
const TOGETHER_CHARS_MAX = 11 * 1024 * 1024;
const NAME_CHARS_MAX = 200;
const IMAGE_TYPES = ["image/png", "image/jpeg", "image/webp", "image/gif"];

export type Refusal = "large_image" | "large_text" | "binary" | "many" | "together";

/** Reads a file; says why not when it is too large or neither picture nor text. */
export async function readAttachment(file: File): Promise<Attachment | Refusal> {
  const name = file.name.slice(0, NAME_CHARS_MAX) || "–";
  if (IMAGE_TYPES.includes(file.type)) {
    if (file.size > IMAGE_BYTES_MAX) return "large_image";
    return { name, image: await dataUrl(file) };
  }
  if (file.size > TEXT_BYTES_MAX) return "large_text";
  const bytes = new Uint8Array(await file.arrayBuffer());
  const text = textOf(bytes);
  return text === null ? "binary" : { name, text };
}

/** Bytes as text; null when they are none. */
export function textOf(bytes: Uint8Array): string | null {
  if (bytes.includes(0)) return null;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}

/** Why these cannot go together; null when they can. */
export function tooMuch(attachments: readonly Attachment[]): Refusal | null {
  if (attachments.length > ATTACHMENTS_MAX) return "many";
  const chars = attachments.reduce((sum, one) => sum + (one.image ?? one.text ?? "").length, 0);
  return chars > TOGETHER_CHARS_MAX ? "together" : null;
}

/** Only pictures of these kinds are shown: they can hold no script. */
export function isPicture(url: string | undefined): url is string {
  return url !== undefined && /^data:image\/(?:png|jpeg|webp|gif);base64,[A-Za-z0-9+/=]*$/.test(url);
}

function dataUrl(file: File): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(reader.error ?? new Error("the file cannot be read"));
    reader.readAsDataURL(file);
  });
}
