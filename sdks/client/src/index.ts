/** A login at hallpass that lasts. */

export { createSession, type EndReason, type Options, Session, type State } from "./session.js";
export { type Code, HallpassError } from "./errors.js";
export { browserStore, localStore, memoryStore, type Store } from "./storage.js";
export type { Attempt, Outcome } from "./attempt.js";
export type { Clock } from "./patience.js";
export type {
  ErrorCode,
  InvalidField,
  LoginRequest,
  Problem,
  RegisterRequest,
  Registered,
  RegistrationTaken,
  User,
} from "./openapi.js";
