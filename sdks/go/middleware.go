package hallpass

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Requirement is what [Validator.Middleware] asks for beside a right token.
type Requirement func(*requirements)

type requirements struct {
	machines      bool
	roles, scopes []string
}

// AllowMachines lets machines in as well: tokens that a client got for itself (client_credentials, RFC 6749 4.4). Any client of
// the issuer can get one, so ask for a scope too.
func AllowMachines() Requirement { return func(r *requirements) { r.machines = true } }

// RequireRole asks for a role as well; twice, for both.
func RequireRole(role string) Requirement {
	return func(r *requirements) { r.roles = append(r.roles, role) }
}

// RequireScope asks for a scope as well; twice, for both. hallpass gives scopes to machines alone, which [AllowMachines] has to
// let in.
func RequireScope(scope string) Requirement {
	return func(r *requirements) { r.scopes = append(r.scopes, scope) }
}

// Middleware lets requests with a right access token of a person pass, and answers the others with problem details (RFC 9457):
// 401 when the token is missing or wrong, 403 when it is right and not enough, 503 when that cannot be told. Handlers find who
// it is by [FromContext].
func (v *Validator) Middleware(asked ...Requirement) func(http.Handler) http.Handler {
	var wants requirements
	for _, requirement := range asked {
		requirement(&wants)
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			claims, err := v.admit(r, &wants)
			if err != nil {
				WriteProblem(w, err)
				return
			}
			next.ServeHTTP(w, r.WithContext(NewContext(r.Context(), claims)))
		})
	}
}

func (v *Validator) admit(r *http.Request, wants *requirements) (*Claims, error) {
	token, refusal := bearerToken(r.Header.Values("Authorization"))
	if refusal != nil {
		return nil, refusal
	}
	claims, err := v.Verify(r.Context(), token)
	if err != nil {
		return nil, err
	}
	return claims, wants.judge(claims)
}

func (r *requirements) judge(claims *Claims) error {
	if !r.machines {
		if err := claims.RequirePerson(); err != nil {
			return err
		}
	}
	for _, role := range r.roles {
		if err := claims.RequireRole(role); err != nil {
			return err
		}
	}
	for _, scope := range r.scopes {
		if err := claims.RequireScope(scope); err != nil {
			return err
		}
	}
	return nil
}

// bearerToken is the token of a request (RFC 6750 2.1), by all its Authorization headers. Another scheme's credentials are no
// token. Several headers are refused: whoever stands before this service may have looked at another one of them.
func bearerToken(values []string) (string, *Error) {
	if len(values) == 0 {
		return "", errNoToken
	}
	if len(values) > 1 {
		return "", errMalformed
	}
	scheme, token, _ := strings.Cut(strings.Trim(values[0], asciiSpace), " ")
	if asciiLower(scheme) != "bearer" {
		return "", errNoToken
	}
	if token = strings.TrimLeft(token, asciiSpace); !isB64Token(token) {
		return "", errMalformed
	}
	return token, nil
}

const asciiSpace = " \t\n\f\r"

// isB64Token says whether these are characters that a token may have (RFC 6750 2.1).
func isB64Token(text string) bool {
	body := strings.TrimRight(text, "=")
	return body != "" && strings.IndexFunc(body, func(letter rune) bool {
		isLetter := 'a' <= letter && letter <= 'z' || 'A' <= letter && letter <= 'Z'
		isDigit := '0' <= letter && letter <= '9'
		return !isLetter && !isDigit && !strings.ContainsRune("-._~+/", letter)
	}) < 0
}

// problem is problem details (RFC 9457), as hallpass' own answers have them.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Code   string `json:"code"`
}

// WriteProblem answers a request with an error of [Validator.Verify] or of Require…: status, headers and body. Any other error
// is answered as one that says nothing about the token.
func WriteProblem(w http.ResponseWriter, err error) {
	var refusal *Error
	if !errors.As(err, &refusal) {
		refusal = unavailable(err)
	}
	headers := w.Header()
	headers.Set("Content-Type", "application/problem+json")
	if refusal.challenge != "" {
		headers.Set("WWW-Authenticate", refusal.challenge)
	}
	if wait := refusal.RetryAfter(); wait > 0 {
		headers.Set("Retry-After", strconv.Itoa(int(wait/time.Second)))
	}
	w.WriteHeader(refusal.Status)
	// Nobody is left to tell when this fails.
	_, _ = w.Write(refusal.body())
}

func (e *Error) body() []byte {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	// Strings and numbers can be encoded.
	_ = encoder.Encode(problem{
		Type: "urn:hallpass:error:" + e.Code, Title: http.StatusText(e.Status), Status: e.Status,
		Detail: strings.ToUpper(e.detail[:1]) + e.detail[1:] + ".", Code: e.Code,
	})
	return bytes.TrimSuffix(body.Bytes(), []byte("\n"))
}
