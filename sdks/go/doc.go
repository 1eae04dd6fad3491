// Package hallpass checks the access tokens of hallpass inside a service: signature, claims and revocation, without a
// request per token.
//
// A [Validator] follows its issuer in the background, its keys and its revocations, and answers from what it knows. A
// heartbeat every second says up to when nothing is missing. What is known is trusted for [Config.MaxStaleness] after that
// moment, however late the heartbeat comes and whatever the issuer's clock shows; then [Config.StalePolicy] says what
// happens. What is known to be revoked is refused with every policy.
//
// A verdict (401, 403) and "cannot tell" (503) are never mixed up: see [Error].
package hallpass
