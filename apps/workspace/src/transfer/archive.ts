import { strFromU8, strToU8, unzipSync, zipSync, type Zippable } from "fflate"
import { readDocument, readTask, type DocumentEntry, type Task } from "../data/entries.ts"

/** A document with its text, as exported and imported. */
export interface PortableDocument {
  readonly entry: DocumentEntry
  readonly body: string
  readonly description: string
  readonly language: string
}

export interface Portable {
  readonly documents: readonly PortableDocument[]
  readonly tasks: readonly Task[]
  readonly quickNote: string
}

/** A text that could not be put into an archive. */
export interface MissingText {
  readonly id: string
  readonly title: string
  readonly reason: string
}

export type ArchiveErrorCode = "not-a-zip" | "too-large" | "no-index"

export class ArchiveError extends Error {
  override readonly name = "ArchiveError"
  readonly code: ArchiveErrorCode

  constructor(code: ArchiveErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options)
    this.code = code
  }
}

const INDEX = "workspace.json"
const NOTE = "quick-note.md"
const MISSING = "missing.txt"
const FORMAT = 1
const MAX_FILES = 20_000
const MAX_FILE_BYTES = 20_000_000
export const MAX_TOTAL_BYTES = 300_000_000

/** Markdown files for people, one JSON index for machines. */
export function packArchive(
  { documents, tasks, quickNote }: Portable,
  missing: readonly MissingText[] = [],
): Uint8Array<ArrayBuffer> {
  const files: Zippable = {}
  const index = documents.map(({ entry, body, description, language }) => {
    const file = `documents/${slugOf(entry.title)}-${entry.id.replaceAll(/[^A-Za-z0-9]/g, "").slice(0, 16)}.md`
    files[file] = strToU8(body)
    return { ...entry, description, language, file }
  })
  if (quickNote !== "") files[NOTE] = strToU8(quickNote)
  // They are left out of the index, or an import would make empty documents of them.
  if (missing.length > 0) {
    files[MISSING] = strToU8(missing.map(({ id, title, reason }) => `${title} (${id}): ${reason}\n`).join(""))
  }
  files[INDEX] = strToU8(JSON.stringify({ format: FORMAT, documents: index, tasks }, null, 2))
  return zipSync(files, { level: 6 })
}

/** Reads an archive of this application. Throws `ArchiveError`; sizes are bounded before anything is unpacked. */
export function unpackArchive(bytes: Uint8Array): Portable {
  const files = unzipBounded(bytes)
  const index = readIndex(files[INDEX])
  const listed = list(index["documents"])
  // So far only the files are bounded, and an index may name one of them again and again.
  const textBytes = listed.reduce((sum, raw) => sum + bytesIn(files, String(raw["file"])).length, 0)
  if (textBytes > MAX_TOTAL_BYTES) throw tooLarge()
  const documents = listed.map((raw): PortableDocument => {
    return {
      entry: readDocument(raw),
      body: textIn(files, String(raw["file"])),
      description: typeof raw["description"] === "string" ? raw["description"].slice(0, 300) : "",
      language: typeof raw["language"] === "string" ? raw["language"].slice(0, 10) : "",
    }
  })
  return { documents, tasks: list(index["tasks"]).map(readTask), quickNote: textIn(files, NOTE) }
}

/** A zip may contain any name, such as `__proto__`. */
function bytesIn(files: Readonly<Record<string, Uint8Array>>, name: string): Uint8Array {
  return (Object.hasOwn(files, name) ? files[name] : undefined) ?? new Uint8Array(0)
}

function textIn(files: Readonly<Record<string, Uint8Array>>, name: string): string {
  return strFromU8(bytesIn(files, name))
}

function unzipBounded(bytes: Uint8Array): Readonly<Record<string, Uint8Array>> {
  let count = 0
  let total = 0
  try {
    return unzipSync(bytes, {
      filter({ originalSize }) {
        count++
        total += originalSize
        if (count > MAX_FILES || originalSize > MAX_FILE_BYTES || total > MAX_TOTAL_BYTES) {
          throw tooLarge()
        }
        return true
      },
    })
  } catch (error) {
    if (error instanceof ArchiveError) throw error
    throw new ArchiveError("not-a-zip", "The file is not a zip, or it is damaged", { cause: error })
  }
}

export function tooLarge(): ArchiveError {
  return new ArchiveError("too-large", "The zip holds more than this app imports: split it into smaller ones")
}

function readIndex(file: Uint8Array | undefined): Readonly<Record<string, unknown>> {
  try {
    const index: unknown = file === undefined ? null : JSON.parse(strFromU8(file))
    if (typeof index === "object" && index !== null) return index as Readonly<Record<string, unknown>>
  } catch {
    // Reported below, like a missing index.
  }
  throw new ArchiveError("no-index", `The zip has no readable ${INDEX}: it does not come from this app`)
}

function list(value: unknown): readonly Readonly<Record<string, unknown>>[] {
  if (!Array.isArray(value)) return []
  return value.filter(
    (entry): entry is Record<string, unknown> => typeof entry === "object" && entry !== null,
  )
}

function slugOf(title: string): string {
  const slug = title.toLowerCase().normalize("NFKD").replaceAll(/[^a-z0-9]+/g, "-").replaceAll(/^-|-$/g, "").slice(0, 60) // prettier-ignore
  return slug === "" ? "untitled" : slug
}
