import { useSyncExternalStore } from "react";
import type { Session, State } from "./session.js";

const AT_THE_SERVER: State = { status: "restoring", user: undefined, ended: undefined };

/** A session's state; whoever uses it is rendered anew when that changes. */
export function useSession(session: Session): State {
  return useSyncExternalStore(
    (changed) => session.on("changed", changed),
    () => session.state,
    () => AT_THE_SERVER,
  );
}
