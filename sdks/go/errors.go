package hallpass

import (
	"errors"
	"strings"
	"time"
)

// What an [Error] is about, for [errors.Is].
var (
	// ErrInvalid is a verdict: no access token of this issuer for this audience now. ErrExpired is one as well.
	ErrInvalid = errors.New("the token is no good")
	// ErrExpired is a verdict: all is right but its time is over.
	ErrExpired = errors.New("the token has expired")
	// ErrRevoked is a verdict: the token was right and has been taken back.
	ErrRevoked = errors.New("the token has been revoked")
	// ErrForbidden is a verdict: the token is right and not enough.
	ErrForbidden = errors.New("the token is not enough")
	// ErrUnavailable is none: nothing can be said about the token now. Answer 503, never 401.
	ErrUnavailable = errors.New("the token cannot be checked right now")
	// ErrStale is ErrUnavailable since revocations have not been heard of for too long.
	ErrStale = errors.New("the issuer's revocations have not been heard of for too long")
)

// retryAfter is how long a client is asked to wait after a 503: staleness mends itself within a heartbeat.
const retryAfter = time.Second

// Error says why a token was not accepted. Its text quotes nothing of the token.
type Error struct {
	// Code is a stable name for programs, as hallpass' own answers have it.
	Code string
	// Status is the HTTP status to answer with: 401, 403 or 503.
	Status int

	about  []error
	detail string
	// challenge is the value of WWW-Authenticate.
	challenge string
	cause     error
}

func (e *Error) Error() string { return e.detail }

// Is says whether the error is about one of the Err… of this package.
func (e *Error) Is(target error) bool {
	for _, about := range e.about {
		if about == target {
			return true
		}
	}
	return false
}

// Unwrap is why nothing can be said, where something failed.
func (e *Error) Unwrap() error { return e.cause }

// WWWAuthenticate is the header's value beside 401 and 403 (RFC 6750 3), empty beside 503.
func (e *Error) WWWAuthenticate() string { return e.challenge }

// RetryAfter is how long a client should wait, beside 503; else 0.
func (e *Error) RetryAfter() time.Duration {
	if e.Status == 503 {
		return retryAfter
	}
	return 0
}

func verdict(code, detail string, about ...error) *Error {
	challenge := `Bearer error="invalid_token", error_description="` + detail + `"`
	return &Error{Code: code, Status: 401, about: about, detail: detail, challenge: challenge}
}

func invalid(detail string) *Error { return verdict("invalid_token", detail, ErrInvalid) }

// The verdicts on a token by itself.
var (
	errTooLong        = invalid("the token is too long")
	errMalformed      = invalid("the token is malformed")
	errUnknownKey     = invalid("the token names no known key")
	errWrongAlgorithm = invalid("the token's algorithm is not its key's")
	errBadSignature   = invalid("the token's signature is wrong")
	errWrongType      = invalid("the token is not an access token")
	errWrongIssuer    = invalid("the token is from another issuer")
	errWrongAudience  = invalid("the token is for another audience")
	errUnversioned    = invalid("the token has no security version")
	errNotYetValid    = invalid("the token is not valid yet")
	errExpired        = verdict("token_expired", "the token has expired", ErrExpired, ErrInvalid)
	errRevoked        = verdict("token_revoked", "the token has been revoked", ErrRevoked)
)

var errNoToken = &Error{Code: "authentication_required", Status: 401, detail: "an access token is needed", challenge: "Bearer"}

func unavailable(cause error, about ...error) *Error {
	about = append(about, ErrUnavailable)
	return &Error{Code: "dependency_unavailable", Status: 503, about: about, detail: ErrUnavailable.Error(), cause: cause}
}

var (
	errNoKeys        = unavailable(errors.New("the issuer's keys have not been fetched yet"))
	errKeysOutOfDate = unavailable(errors.New("the token names an unknown key, and the issuer's keys cannot be fetched"))
	errStale         = unavailable(ErrStale, ErrStale)
)

// RequirePerson answers an [Error] of status 403 for a machine's token.
func (c *Claims) RequirePerson() error {
	if c.IsMachine() {
		return forbidden("forbidden", "a person's token is needed", "")
	}
	return nil
}

// RequireRole answers an [Error] of status 403 where the user has not the role.
func (c *Claims) RequireRole(role string) error {
	if !c.HasRole(role) {
		return forbidden("forbidden", "the role "+role+" is needed", "")
	}
	return nil
}

// RequireScope answers an [Error] of status 403 where the token was not issued for the scope.
func (c *Claims) RequireScope(scope string) error {
	if !c.HasScope(scope) {
		return forbidden("insufficient_scope", "the scope "+scope+" is needed", scope)
	}
	return nil
}

// forbidden is RFC 6750 3.1, insufficient_scope: the challenge names the scope that would do.
func forbidden(code, detail, scope string) *Error {
	challenge := `Bearer error="insufficient_scope"`
	if scope != "" && isQuotable(scope) {
		challenge += `, scope="` + scope + `"`
	}
	return &Error{Code: code, Status: 403, about: []error{ErrForbidden}, detail: detail, challenge: challenge}
}

// isQuotable says whether these are characters of a scope (RFC 6749 3.3), none of which ends a quoted string.
func isQuotable(scope string) bool {
	return strings.IndexFunc(scope, func(letter rune) bool {
		return letter < ' ' || letter > '~' || letter == '"' || letter == '\\'
	}) < 0
}
