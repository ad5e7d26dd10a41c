/** Such as "1 document and 3 tasks". */
export function describeCounts(documents: number, tasks: number): string {
  return `${documents} ${documents === 1 ? "document" : "documents"} and ${tasks} ${tasks === 1 ? "task" : "tasks"}`
}
