package hallpass

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
)

// Claims is what an access token says (RFC 9068 2.2), once it has been found right.
//
// A token that a client got for itself (client_credentials, RFC 6749 4.4) has no user behind it: no SessionID, no Version, no
// Email, and the client's id as Subject. See [Claims.IsMachine].
type Claims struct {
	Issuer   string
	Audience []string
	// The user's id in digits; of a machine's token, the client's id.
	Subject string
	// When the token ends and was issued, seconds since 1970; NotBefore is nil in hallpass' own tokens.
	ExpiresAt, IssuedAt int64
	NotBefore           *int64
	// The token's own id and that of its session, which a machine's token has not: empty then.
	TokenID, SessionID string
	// The account's security version, which every token with a session has.
	Version *int64
	// The number of the issuer's memory that the token was issued under.
	Incarnation uint64
	// The client that the token was issued to.
	ClientID string
	// Who acts for the subject (RFC 8693 4.1), the present actor first; nobody, where the subject acts itself.
	Actors []string
	// The user's address as far as anybody said; see [Claims.VerifiedEmail].
	Email string
	// Whether the user has proven that the address is theirs; nil where nothing is known of it.
	EmailVerified *bool
	// When the user proved who they are, seconds since 1970: at the login, not at a refresh. Nil in a machine's token.
	AuthTime *int64
	// How they did (RFC 8176): pwd is a password.
	Methods []string
	// How much that proves: urn:hallpass:acr:1 is one factor, urn:hallpass:acr:2 are two.
	Class string
	Roles []string
	// What the token may be used for, words with spaces between.
	Scope string

	token, session uuid
	hasSession     bool
	payload        []byte
}

var claimNames = names("iss", "aud", "sub", "exp", "iat", "nbf", "jti", "sid", "sv", "inc", "client_id", "email", "email_verified", "auth_time", "amr", "acr", "roles", "scope", "act", "may_act")

var actorNames, mayActNames = names("sub", "act"), names("sub")

// deepestChain is how many may have acted one for the other.
const deepestChain = 126

// VerifiedEmail is the user's address, if the issuer says that the user has proven it to be theirs. Anybody can register
// with anybody's address: know people by Subject.
func (c *Claims) VerifiedEmail() (email string, ok bool) {
	if c.EmailVerified == nil || !*c.EmailVerified || c.Email == "" {
		return "", false
	}
	return c.Email, true
}

// IsMachine says whether a client got the token for itself: no user and no session stand behind it.
func (c *Claims) IsMachine() bool { return !c.hasSession }

// HasRole says whether the user had the role when the session was opened, to the letter.
func (c *Claims) HasRole(role string) bool {
	for _, own := range c.Roles {
		if own == role {
			return true
		}
	}
	return false
}

// HasScope says whether the token was issued for the scope, to the letter.
func (c *Claims) HasScope(scope string) bool {
	for _, own := range strings.Split(c.Scope, " ") {
		if own != "" && own == scope {
			return true
		}
	}
	return false
}

// Decode reads the claims into a value of your own, as [json.Unmarshal] does: for those that Claims has no field for.
func (c *Claims) Decode(into any) error { return json.Unmarshal(c.payload, into) }

// String leaves the address out: it is personal data, and claims end up in logs.
func (c Claims) String() string {
	return fmt.Sprintf("{sub: %q, sid: %q, jti: %q, client_id: %q, roles: %q, scope: %q}",
		c.Subject, c.SessionID, c.TokenID, c.ClientID, c.Roles, c.Scope)
}

// GoString is String.
func (c Claims) GoString() string { return c.String() }

// LogValue is String, for log/slog.
func (c Claims) LogValue() slog.Value { return slog.StringValue(c.String()) }

// parseClaims reads claims, each of which has exactly the JSON type that hallpass writes: one of another type is not
// taken for one that is absent (CVE-2026-25537).
func parseClaims(payload []byte) (*Claims, error) {
	object, err := parseObject(payload, claimNames)
	if err != nil {
		return nil, err
	}
	read := reader{object: object}
	claims := &Claims{
		Issuer:        read.text("iss"),
		Audience:      read.audience(),
		Subject:       read.text("sub"),
		ExpiresAt:     read.signed("exp"),
		IssuedAt:      read.signed("iat"),
		NotBefore:     read.optionalSigned("nbf"),
		Version:       read.optionalSigned("sv"),
		Incarnation:   read.unsigned("inc"),
		ClientID:      read.text("client_id"),
		Actors:        read.actors(),
		Email:         read.optionalText("email"),
		EmailVerified: read.optionalBool("email_verified"),
		AuthTime:      read.optionalSigned("auth_time"),
		Methods:       read.optionalTexts("amr"),
		Class:         read.optionalText("acr"),
		Roles:         read.texts("roles"),
		Scope:         read.optionalText("scope"),
		payload:       payload,
	}
	if object.has("may_act") {
		mayAct := read.within("may_act", mayActNames)
		mayAct.text("sub")
		note(&read, "", mayAct.err)
	}
	claims.token = read.uuid("jti")
	claims.TokenID = claims.token.String()
	if claims.hasSession = object.has("sid"); claims.hasSession {
		claims.session = read.uuid("sid")
		claims.SessionID = claims.session.String()
	}
	return claims, read.err
}

// reader remembers the first thing that could not be read.
type reader struct {
	object object
	err    error
}

func note[T any](r *reader, value T, err error) T {
	if r.err == nil {
		r.err = err
	}
	return value
}

func (r *reader) text(name string) string {
	text, err := r.object.text(name)
	return note(r, text, err)
}

func (r *reader) optionalText(name string) string {
	text, err := r.object.optionalText(name)
	if text == nil {
		return note(r, "", err)
	}
	return note(r, *text, err)
}

func (r *reader) signed(name string) int64 {
	number, err := r.object.signed(name)
	return note(r, number, err)
}

func (r *reader) optionalSigned(name string) *int64 {
	number, err := r.object.optionalSigned(name)
	return note(r, number, err)
}

func (r *reader) unsigned(name string) uint64 {
	number, err := r.object.unsigned(name)
	return note(r, number, err)
}

func (r *reader) optionalBool(name string) *bool {
	value, err := r.object.optionalBool(name)
	return note(r, value, err)
}

func (r *reader) texts(name string) []string {
	texts, err := r.object.texts(name)
	return note(r, texts, err)
}

func (r *reader) optionalTexts(name string) []string {
	if !r.object.has(name) {
		return nil
	}
	return r.texts(name)
}

// within reads an object in the object.
func (r *reader) within(name string, known map[string]bool) reader {
	inner, err := members(r.object[name], known)
	return reader{object: inner, err: err}
}

// actors is the chain of actors in an act.
func (r *reader) actors() (chain []string) {
	for at := *r; at.object.has("act"); {
		at = at.within("act", actorNames)
		if chain = append(chain, at.text("sub")); at.err != nil || len(chain) > deepestChain {
			return note[[]string](r, nil, errJSON)
		}
	}
	return chain
}

// audience is a string or an array of strings (RFC 7519 4.1.3).
func (r *reader) audience() []string {
	if one, err := r.object.text("aud"); err == nil {
		return []string{one}
	}
	return r.texts("aud")
}

func (r *reader) uuid(name string) uuid {
	id, ok := parseUUID(r.text(name))
	if !ok {
		return note(r, id, errJSON)
	}
	return id
}

// uuid is the id of a token or of a session.
type uuid [16]byte

// parseUUID reads an id with hyphens, without, in braces, or behind urn:uuid:, in any case.
func parseUUID(text string) (id uuid, ok bool) {
	switch {
	case len(text) == 45 && asciiLower(text[:9]) == "urn:uuid:":
		text = text[9:]
	case len(text) == 38 && text[0] == '{' && text[37] == '}':
		text = text[1:37]
	case len(text) == 32:
		_, err := hex.Decode(id[:], []byte(text))
		return id, err == nil
	}
	if len(text) != 36 || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-' {
		return id, false
	}
	digits := text[:8] + text[9:13] + text[14:18] + text[19:23] + text[24:]
	_, err := hex.Decode(id[:], []byte(digits))
	return id, err == nil
}

func (id uuid) String() string {
	text := hex.EncodeToString(id[:])
	return strings.Join([]string{text[:8], text[8:12], text[12:16], text[16:20], text[20:]}, "-")
}

// asciiLower leaves letters alone that are none of ASCII's: some of them are the same without case.
func asciiLower(text string) string {
	return strings.Map(func(letter rune) rune {
		if 'A' <= letter && letter <= 'Z' {
			return letter + 'a' - 'A'
		}
		return letter
	}, text)
}

type contextKey struct{}

// NewContext puts claims where [FromContext] finds them: for tests of handlers.
func NewContext(ctx context.Context, claims *Claims) context.Context {
	return context.WithValue(ctx, contextKey{}, claims)
}

// FromContext is who sent the request, behind [Validator.Middleware].
func FromContext(ctx context.Context) (*Claims, bool) {
	claims, ok := ctx.Value(contextKey{}).(*Claims)
	return claims, ok
}
