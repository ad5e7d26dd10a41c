import { describePair, startNode } from "../rooms/pair-scenarios.ts"

describePair({ name: "Node and Node", actors: [startNode, startNode] })
