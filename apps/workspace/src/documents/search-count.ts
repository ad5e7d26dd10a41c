import { getSearchQuery, type SearchQuery, searchPanelOpen } from "@codemirror/search"
import type { EditorState, Extension } from "@codemirror/state"
import { type EditorView, ViewPlugin, type ViewUpdate } from "@codemirror/view"

/** Nobody steps through more matches, and a letter may occur a hundred thousand times in a long text. */
const MAX_COUNTED = 999

/** Shows in the search panel how often the text contains the search term. */
export function searchCount(): Extension {
  return ViewPlugin.define((view) => {
    const status = document.createElement("span")
    status.className = "search-count soft numbers"
    status.role = "status"
    // After the update, because the same update may add the panel.
    const showSoon = (): void =>
      view.requestMeasure({ key: status, read: () => null, write: () => showIn(view, status) })
    showSoon()
    return {
      update({ state, startState, docChanged, selectionSet }: ViewUpdate) {
        if (!searchPanelOpen(state)) return
        const query = getSearchQuery(state)
        const isNew = !status.isConnected || !query.eq(getSearchQuery(startState))
        if (isNew || docChanged || selectionSet) showSoon()
      },
      destroy: () => status.remove(),
    }
  })
}

function showIn({ dom, state }: EditorView, status: HTMLElement): void {
  // CodeMirror creates the panel anew each time it opens, so it has to be looked up.
  const panel = dom.querySelector(".cm-search")
  if (panel === null) return
  if (status.parentElement !== panel) panel.append(status)
  const text = describeMatches(state, getSearchQuery(state))
  if (status.textContent !== text) status.textContent = text
}

function describeMatches(state: EditorState, query: SearchQuery): string {
  if (query.search === "") return ""
  if (!query.valid) return "Not a pattern"
  const { from, to } = state.selection.main
  const matches = query.getCursor(state)
  let count = 0
  let at = 0
  for (let next = matches.next(); !next.done; next = matches.next()) {
    if (count === MAX_COUNTED) return at > 0 ? `${at} of more than ${count}` : `More than ${count}`
    count++
    if (next.value.from === from && next.value.to === to) at = count
  }
  if (count === 0) return "Not found"
  return at > 0 ? `${at} of ${count}` : `${count} found`
}
