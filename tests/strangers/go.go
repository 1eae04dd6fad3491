// Libraries for Go out of Debian, as their quickstarts have them and as they are to be set. `{service, tokens}` by the algorithm that the
// service signs with on stdin, as JSON; on stdout a line for each: which tokens it lets in. Its arguments are the libraries' versions,
// which their sources do not say: go.go NAME=VERSION…
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"sort"
	"strings"
	"time"

	oidc "github.com/coreos/go-oidc"
	"github.com/golang-jwt/jwt"
	jose "gopkg.in/square/go-jose.v2"
)

type service struct {
	Issuer string            `json:"service"`
	Tokens map[string]string `json:"tokens"`
}

// An accept is nil where the library lets a token in.
type accept func(token string) error

type library struct {
	name string
	make func(issuer string, isSet bool) (accept, error)
}

type line struct {
	Name       string   `json:"name"`
	Version    string   `json:"version"`
	Quickstart []string `json:"quickstart"`
	Set        []string `json:"set"`
}

var (
	libraries      = []library{{"go-oidc", goOIDC}, {"golang-jwt", golangJWT}}
	errNoAccess    = errors.New("no access token")
	errOtherClaims = errors.New("not of this issuer, for this audience, now")
)

// goOIDC is made for ID tokens: what it calls the client is the audience.
func goOIDC(issuer string, isSet bool) (accept, error) {
	ctx := context.Background()
	provider, err := oidc.NewProvider(ctx, issuer)
	if err != nil {
		return nil, err
	}
	config := oidc.Config{ClientID: issuer}
	if isSet {
		config.SupportedSigningAlgs = []string{oidc.ES256}
	}
	verifier := provider.Verifier(&config)
	return func(token string) error {
		if _, err := verifier.Verify(ctx, token); err != nil || !isSet {
			return err
		}
		return lookAtType(token)
	}, nil
}

// It answers claims alone.
func lookAtType(token string) error {
	signed, err := jose.ParseSigned(token)
	if err != nil {
		return err
	}
	if signed.Signatures[0].Protected.ExtraHeaders[jose.HeaderType] != "at+jwt" {
		return errNoAccess
	}
	return nil
}

// golangJWT finds keys by kid and nothing else, as keyfunc does, which is not in Debian.
func golangJWT(issuer string, isSet bool) (accept, error) {
	keys, err := jwksOf(issuer)
	if err != nil {
		return nil, err
	}
	keyOf := func(token *jwt.Token) (interface{}, error) {
		kid, _ := token.Header["kid"].(string)
		for _, key := range keys.Key(kid) {
			return key.Key, nil
		}
		return nil, errors.New("no such key")
	}
	if !isSet {
		return func(token string) error {
			_, err := jwt.Parse(token, keyOf)
			return err
		}, nil
	}
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"ES256"}))
	return func(token string) error {
		claims := jwt.MapClaims{}
		parsed, err := parser.ParseWithClaims(token, claims, keyOf)
		if err != nil {
			return err
		}
		return lookAt(parsed.Header, claims, issuer)
	}, nil
}

func lookAt(header map[string]interface{}, claims jwt.MapClaims, issuer string) error {
	if header["typ"] != "at+jwt" {
		return errNoAccess
	}
	now := time.Now().Unix()
	if !claims.VerifyIssuer(issuer, true) || !claims.VerifyAudience(issuer, true) || !claims.VerifyExpiresAt(now, true) {
		return errOtherClaims
	}
	return nil
}

func jwksOf(issuer string) (keys jose.JSONWebKeySet, err error) {
	answer, err := http.Get(issuer + "/.well-known/jwks.json")
	if err != nil {
		return keys, err
	}
	defer answer.Body.Close()
	return keys, json.NewDecoder(answer.Body).Decode(&keys)
}

// letIn has the names of the tokens that are let in.
func letIn(made library, isSet bool, at service) []string {
	accept, err := made.make(at.Issuer, isSet)
	if err != nil {
		log.Fatalf("%s: %v", made.name, err)
	}
	names := []string{}
	for name, token := range at.Tokens {
		if accept(token) == nil {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	return names
}

func versions() map[string]string {
	found := map[string]string{}
	for _, argument := range os.Args[1:] {
		name, version, _ := strings.Cut(argument, "=")
		found[name] = version
	}
	return found
}

func main() {
	var services map[string]service
	if err := json.NewDecoder(os.Stdin).Decode(&services); err != nil {
		log.Fatal(err)
	}
	at, known := services["ES256"], versions()
	for _, made := range libraries {
		row := line{made.name, known[made.name], letIn(made, false, at), letIn(made, true, at)}
		text, err := json.Marshal(row)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(string(text))
	}
}
