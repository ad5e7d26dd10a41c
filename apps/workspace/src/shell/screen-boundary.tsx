import { Component, type ReactNode } from "react"
import { errorMessage } from "../ui/error-message.ts"

interface ScreenBoundaryProps {
  /** What is shown: something else is tried anew. */
  readonly shown: string
  readonly failed: (reason: string) => ReactNode
  readonly children: ReactNode
}

interface ScreenBoundaryState {
  readonly shown: string
  readonly reason: string | null
}

/**
 * A screen that throws, or whose code cannot be fetched, as after an update of the application on its server, leaves the others and
 * the way to them.
 */
export class ScreenBoundary extends Component<ScreenBoundaryProps, ScreenBoundaryState> {
  override state: ScreenBoundaryState = { shown: this.props.shown, reason: null }

  static getDerivedStateFromError(error: unknown): Partial<ScreenBoundaryState> {
    return { reason: errorMessage(error) }
  }

  static getDerivedStateFromProps(
    { shown }: ScreenBoundaryProps,
    state: ScreenBoundaryState,
  ): ScreenBoundaryState | null {
    return shown === state.shown ? null : { shown, reason: null }
  }

  override render(): ReactNode {
    const { reason } = this.state
    return reason === null ? this.props.children : this.props.failed(reason)
  }
}
