import { useSession } from "@hallpass/client/react";
import { createRoot } from "react-dom/client";
import { Door } from "./Door";
import { session } from "./session";
import { Shelf } from "./Shelf";

function App() {
  const { status, user, ended } = useSession(session);
  if (status === "restoring") return null;
  return user ? <Shelf user={user} /> : <Door ended={ended} />;
}

createRoot(document.getElementById("app")!).render(<App />);
