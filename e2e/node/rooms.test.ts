import { describeCuts, describePair, startNode } from "../rooms/pair-scenarios.ts"

describePair({ name: "Node and Node", actors: [startNode, startNode] })
describeCuts({ name: "Node and Node", actors: [startNode, startNode] })
