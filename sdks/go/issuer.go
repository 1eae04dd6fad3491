package hallpass

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

const wellKnown = "/.well-known/oauth-authorization-server"

// issuer is how the issuer is reached.
type issuer struct {
	// name is the issuer's name, to the letter; url the same as an address.
	name string
	url  *url.URL
	// reachAt is another way to it, which the name does not lead; nil where there is none.
	reachAt *url.URL
	// trusted are the origins whose endpoints are taken beside the issuer's own.
	trusted   []string
	clientID  string
	secret    string
	transport *transport
}

// endpoints are those that are of use here; nil where the issuer names none.
type endpoints struct {
	jwks, token, introspection, revocations, stream *url.URL
}

// metadata is that of an authorization server (RFC 8414 2, RFC 7662, and two members of hallpass' own).
type metadata struct {
	Issuer        string `json:"issuer"`
	JWKS          string `json:"jwks_uri"`
	Token         string `json:"token_endpoint"`
	Introspection string `json:"introspection_endpoint"`
	Revocations   string `json:"hallpass_revocations_endpoint"`
	Stream        string `json:"hallpass_revocations_stream_endpoint"`
}

// discover asks the issuer where everything is.
func (i *issuer) discover(ctx context.Context) (*endpoints, error) {
	at, err := url.Parse(strings.TrimRight(i.name, "/") + wellKnown)
	if err != nil {
		return nil, err
	}
	request, err := get(i.rerouted(at), "application/json")
	if err != nil {
		return nil, err
	}
	var found metadata
	if err := i.json(ctx, request, &found); err != nil {
		return nil, fmt.Errorf("the issuer's metadata cannot be fetched: %w", err)
	}
	if found.Issuer != i.name {
		return nil, fmt.Errorf("the metadata is that of %q", found.Issuer)
	}
	return i.take(&found)
}

func (i *issuer) take(found *metadata) (*endpoints, error) {
	var all endpoints
	for _, member := range []struct {
		name, text string
		into       **url.URL
	}{
		{"jwks_uri", found.JWKS, &all.jwks},
		{"token_endpoint", found.Token, &all.token},
		{"introspection_endpoint", found.Introspection, &all.introspection},
		{"hallpass_revocations_endpoint", found.Revocations, &all.revocations},
		{"hallpass_revocations_stream_endpoint", found.Stream, &all.stream},
	} {
		if member.text == "" {
			continue
		}
		endpoint, err := i.endpoint(member.name, member.text)
		if err != nil {
			return nil, err
		}
		*member.into = endpoint
	}
	if all.jwks == nil {
		return nil, errors.New("the issuer has no jwks_uri")
	}
	return &all, nil
}

// endpoint takes a URL if it is the issuer's own or trusted: the metadata must not be able to send secrets elsewhere.
func (i *issuer) endpoint(name, text string) (*url.URL, error) {
	found, err := url.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("the metadata's %s is no URL", name)
	}
	if origin(found) == origin(i.url) {
		return i.rerouted(found), nil
	}
	if contains(i.trusted, origin(found)) {
		return found, nil
	}
	return nil, fmt.Errorf("the metadata's %s is at an origin that is not trusted; see TrustOrigins", name)
}

// rerouted is a URL of the issuer's own, by the way that was set.
func (i *issuer) rerouted(own *url.URL) *url.URL {
	if i.reachAt == nil {
		return own
	}
	way := *i.reachAt
	way.Path, way.RawPath, way.RawQuery = own.Path, own.RawPath, own.RawQuery
	return &way
}

// origin is scheme, host and port (RFC 6454 4); of what has none, nothing.
func origin(at *url.URL) string {
	port := at.Port()
	switch {
	case at.Scheme != "http" && at.Scheme != "https" || at.Hostname() == "":
		return ""
	case port == "" && at.Scheme == "http":
		port = "80"
	case port == "":
		port = "443"
	}
	return at.Scheme + "://" + net.JoinHostPort(asciiLower(at.Hostname()), port)
}

func isLoopback(at *url.URL) bool {
	address := net.ParseIP(at.Hostname())
	return at.Hostname() == "localhost" || address != nil && address.IsLoopback()
}

func get(at *url.URL, accept string) (*http.Request, error) {
	request, err := http.NewRequest(http.MethodGet, at.String(), nil)
	if err == nil {
		request.Header.Set("Accept", accept)
	}
	return request, err
}

// form is a POST request in the name of the client (RFC 6749 2.3.1: both parts are form-encoded first).
func (i *issuer) form(at *url.URL, fields url.Values) (*http.Request, error) {
	request, err := http.NewRequest(http.MethodPost, at.String(), strings.NewReader(fields.Encode()))
	if err != nil {
		return nil, err
	}
	request.SetBasicAuth(url.QueryEscape(i.clientID), url.QueryEscape(i.secret))
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Accept", "application/json")
	return request, nil
}

// json sends a request and reads a short answer of status 200.
func (i *issuer) json(ctx context.Context, request *http.Request, into any) error {
	answer, err := i.transport.send(ctx, request, shortAnswer)
	if err != nil {
		return err
	}
	if err := answer.ok(); err != nil {
		return err
	}
	if err := json.NewDecoder(bytes.NewReader(answer.body)).Decode(into); err != nil {
		// What could not be read may be a secret.
		return errors.New("the issuer's answer cannot be read")
	}
	return nil
}

const (
	// feedScope is what the feed asks for.
	feedScope = "revocations:read"
	// A token that ends sooner than margin is not used any more; one whose end is not told is used for untoldLifetime.
	margin         = 10 * time.Second
	untoldLifetime = 60 * time.Second
)

// ownToken is this service's own access token, kept while it lasts.
type ownToken struct {
	bearer string
	end    time.Time
}

// fetch answers the value of Authorization, with a token that was fetched now or before.
func (o *ownToken) fetch(ctx context.Context, issuer *issuer, endpoint *url.URL) (string, error) {
	if o.bearer != "" && time.Now().Before(o.end) {
		return o.bearer, nil
	}
	askedAt := time.Now()
	request, err := issuer.form(endpoint, url.Values{"grant_type": {"client_credentials"}, "scope": {feedScope}})
	if err != nil {
		return "", err
	}
	var told struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   *int64 `json:"expires_in"`
	}
	if err := issuer.json(ctx, request, &told); err != nil {
		return "", err
	}
	lifetime := untoldLifetime
	if told.ExpiresIn != nil && *told.ExpiresIn < int64(maxDuration/time.Second) {
		lifetime = time.Duration(*told.ExpiresIn) * time.Second
	}
	if !isHeaderValue(told.AccessToken) || told.AccessToken == "" {
		return "", errors.New("the issuer's token cannot be read")
	}
	o.bearer, o.end = "Bearer "+told.AccessToken, askedAt.Add(lifetime-margin)
	return o.bearer, nil
}

// forget lets go of a token that the issuer takes no longer.
func (o *ownToken) forget() { o.bearer = "" }

// atOnce is how many tokens are asked about at once: an issuer in trouble is not to be flooded by its clients.
const atOnce = 64

// introspection asks the issuer about one token (RFC 7662), while the feed is not to be trusted.
type introspection struct {
	issuer *issuer
	slots  chan struct{}

	mu       sync.Mutex
	endpoint *url.URL
}

func newIntrospection(issuer *issuer) *introspection {
	return &introspection{issuer: issuer, slots: make(chan struct{}, atOnce)}
}

func (i *introspection) found(endpoint *url.URL) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.endpoint = endpoint
}

func (i *introspection) at() *url.URL {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.endpoint
}

// isActive says whether the issuer says that the token stands. It waits as long as a request may take, queue included.
func (i *introspection) isActive(ctx context.Context, endpoint *url.URL, token string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, i.issuer.transport.timeout)
	defer cancel()
	select {
	case i.slots <- struct{}{}:
		defer func() { <-i.slots }()
	case <-ctx.Done():
		return false, errTimedOut
	}
	request, err := i.issuer.form(endpoint, url.Values{"token": {token}, "token_type_hint": {"access_token"}})
	if err != nil {
		return false, err
	}
	var told struct {
		Active *bool `json:"active"`
	}
	if err := i.issuer.json(ctx, request, &told); err != nil {
		return false, err
	}
	if told.Active == nil {
		return false, errors.New("the issuer's answer cannot be read")
	}
	return *told.Active, nil
}
