package hallpass

import (
	"encoding/base64"
	"math"
	"strings"
	"time"
)

// tokenMaxBytes is the longest token that is looked at.
const tokenMaxBytes = 8 * 1024

// verifier checks signature and claims.
type verifier struct {
	keys   keySet
	issuer string
	// audiences are those of which a token has to be for one.
	audiences []string
	// typ is what a header must name, in lower case.
	typ string
	// leeway is of times, seconds.
	leeway int64
}

var headerNames = names("alg", "kid", "typ", "jku", "jwk", "x5u", "x5c", "crit")

type header struct {
	alg      string
	kid, typ *string
}

// parseHeader reads a JOSE header (RFC 7515 4.1). One that brings a key along proves nothing (CVE-2018-0114), and no
// critical parameter is understood here (RFC 7515 4.1.11).
func parseHeader(encoded string) (*header, error) {
	text, err := decode(encoded)
	if err != nil {
		return nil, err
	}
	object, err := parseObject(text, headerNames)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"jku", "jwk", "x5u", "x5c", "crit"} {
		if object.has(name) {
			return nil, errJSON
		}
	}
	var parsed header
	if parsed.alg, err = object.text("alg"); err != nil {
		return nil, err
	}
	if parsed.kid, err = object.nullableText("kid"); err != nil {
		return nil, err
	}
	parsed.typ, err = object.nullableText("typ")
	return &parsed, err
}

// known is a token whose signature, type, issuer and audience are right. Its times and its revocation are looked at each
// time.
type known struct {
	claims *Claims
	kid    string
}

// verify checks a token of at most tokenMaxBytes, but for its revocation.
func (v *verifier) verify(token string, now time.Time) (*known, *Error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, errMalformed
	}
	header, err := parseHeader(parts[0])
	if err != nil {
		return nil, errMalformed
	}
	if header.kid == nil {
		return nil, errUnknownKey
	}
	key, found := v.keys[*header.kid]
	if !found {
		return nil, errUnknownKey
	}
	claims, refusal := readSigned(key, header.alg, parts)
	if refusal != nil {
		return nil, refusal
	}
	if refusal := v.judge(header, claims, now); refusal != nil {
		return nil, refusal
	}
	return &known{claims: claims, kid: *header.kid}, nil
}

// readSigned reads the claims if the signature is the key's, by the key's algorithm (RFC 8725 3.1).
func readSigned(key publicKey, alg string, parts []string) (*Claims, *Error) {
	if alg != key.algorithm() {
		return nil, errWrongAlgorithm
	}
	signature, err := decode(parts[2])
	if err != nil {
		return nil, errMalformed
	}
	if !key.signed([]byte(parts[0]+"."+parts[1]), signature) {
		return nil, errBadSignature
	}
	payload, err := decode(parts[1])
	if err != nil {
		return nil, errMalformed
	}
	claims, err := parseClaims(payload)
	if err != nil {
		return nil, errMalformed
	}
	return claims, nil
}

func (v *verifier) judge(header *header, claims *Claims, now time.Time) *Error {
	switch {
	case header.typ == nil || strings.TrimPrefix(asciiLower(*header.typ), "application/") != v.typ:
		return errWrongType
	case claims.Issuer != v.issuer:
		return errWrongIssuer
	case !containsAny(claims.Audience, v.audiences):
		return errWrongAudience
	case claims.hasSession && claims.Version == nil:
		// A security event is told by its number alone: it could not concern this token.
		return errUnversioned
	}
	return v.checkTimes(claims, now)
}

// checkTimes is the one place that compares a token's times (RFC 7519 4.1.4 to 4.1.6).
func (v *verifier) checkTimes(claims *Claims, now time.Time) *Error {
	seconds := unixSeconds(now)
	latestStart := addSaturating(seconds, v.leeway)
	if claims.IssuedAt > latestStart || claims.NotBefore != nil && *claims.NotBefore > latestStart {
		return errNotYetValid
	}
	if seconds >= addSaturating(claims.ExpiresAt, v.leeway) {
		return errExpired
	}
	return nil
}

// unixSeconds is in whole seconds, rounded down; a clock before 1970 accepts nothing.
func unixSeconds(now time.Time) int64 {
	if seconds := now.Unix(); seconds >= 0 {
		return seconds
	}
	return math.MinInt64
}

var base64URL = base64.RawURLEncoding.Strict()

// decode reads base64url without padding, of which there is one spelling. The package's decoder passes over line ends.
func decode(text string) ([]byte, error) {
	if strings.ContainsAny(text, "\r\n") {
		return nil, errJSON
	}
	return base64URL.DecodeString(text)
}

func contains(list []string, text string) bool {
	for _, own := range list {
		if own == text {
			return true
		}
	}
	return false
}

func containsAny(list, texts []string) bool {
	for _, text := range texts {
		if contains(list, text) {
			return true
		}
	}
	return false
}
