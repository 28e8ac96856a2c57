"use client";
import { createContext, type ReactNode, useContext } from "react";

/** Who looks at the page, as far as it decides what is offered; what they may do is decided by the services. */
export interface Viewer {
  id: string;
  administrator: boolean;
  /** An administrator of the account that runs this instance. */
  runsInstance: boolean;
}

const ViewerContext = createContext<Viewer>({ id: "", administrator: false, runsInstance: false });

export const useViewer = () => useContext(ViewerContext);

export function ViewerProvider({ viewer, children }: { viewer: Viewer; children: ReactNode }) {
  return <ViewerContext value={viewer}>{children}</ViewerContext>;
}
