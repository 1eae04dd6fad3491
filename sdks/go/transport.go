package hallpass

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	// shortAnswer is what an answer may take unless it is a list of revocations, bytes.
	shortAnswer = 1 << 20
	// longAnswer is more than a million entries.
	longAnswer = 256 << 20

	idleConnections = 8
	idleTime        = 30 * time.Second
	userAgent       = "hallpass-verify-go/0.2.0"
)

var (
	errTooMuch  = errors.New("the issuer's answer is too long")
	errTimedOut = errors.New("the issuer did not answer in time")
)

// statusError is about an answer of a status that is of no use.
type statusError struct {
	status int
	// retryAfter is how long the issuer asked to be left alone, 30 seconds at most; nil where it did not.
	retryAfter *time.Duration
}

func (e *statusError) Error() string { return "the issuer answered " + strconv.Itoa(e.status) }

func refusal(status int, headers http.Header) *statusError {
	refused := &statusError{status: status}
	if seconds, err := strconv.ParseUint(strings.TrimSpace(headers.Get("Retry-After")), 10, 64); err == nil {
		wait := longestAskedFor
		if seconds < uint64(longestAskedFor/time.Second) {
			wait = time.Duration(seconds) * time.Second
		}
		refused.retryAfter = &wait
	}
	return refused
}

// retryAfterOf is how long the issuer asked to be left alone.
func retryAfterOf(err error) (wait time.Duration, asked bool) {
	var refused *statusError
	if !errors.As(err, &refused) || refused.retryAfter == nil {
		return 0, false
	}
	return *refused.retryAfter, true
}

// answer is one that was read to its end.
type answer struct {
	status  int
	headers http.Header
	body    []byte
}

func (a *answer) ok() error {
	if a.status != http.StatusOK {
		return refusal(a.status, a.headers)
	}
	return nil
}

// transport sends requests to the issuer: bounded in time and in length, over HTTP/1.1. A multiplexed connection that hangs
// would take all later requests with it.
type transport struct {
	client *http.Client
	// timeout is how long to wait for an answer, and for each next piece of it.
	timeout time.Duration
}

func newTransport(roots *x509.CertPool, timeout time.Duration) *transport {
	dialer := &net.Dialer{Timeout: timeout}
	return &transport{timeout: timeout, client: &http.Client{
		// An answer is the issuer's or none: nothing is followed.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext:         dialer.DialContext,
			TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout: timeout,
			TLSNextProto:        map[string]func(string, *tls.Conn) http.RoundTripper{},
			MaxIdleConnsPerHost: idleConnections,
			IdleConnTimeout:     idleTime,
			DisableCompression:  true,
		},
	}}
}

// open sends a request and waits for the head of the answer. Whoever calls it closes the body, and the request ends with it.
func (t *transport) open(ctx context.Context, request *http.Request) (*http.Response, context.CancelFunc, error) {
	ctx, cancel := context.WithCancel(ctx)
	timer := time.AfterFunc(t.timeout, cancel)
	request.Header.Set("User-Agent", userAgent)
	response, err := t.client.Do(request.WithContext(ctx))
	if !timer.Stop() && err == nil {
		response.Body.Close()
		err = errTimedOut
	}
	if err != nil {
		cancel()
		return nil, nil, unreachable(err)
	}
	return response, cancel, nil
}

// unreachable leaves the URL out that the package puts before its errors: it may have a name and a password in it.
func unreachable(err error) error {
	var withURL *url.Error
	if errors.As(err, &withURL) {
		err = withURL.Err
	}
	return fmt.Errorf("the issuer cannot be reached: %w", err)
}

// send sends a request and reads the answer, at most limit bytes of it.
func (t *transport) send(ctx context.Context, request *http.Request, limit int64) (*answer, error) {
	response, cancel, err := t.open(ctx, request)
	if err != nil {
		return nil, err
	}
	defer cancel()
	defer response.Body.Close()
	// Each piece in its time.
	timer := time.AfterFunc(t.timeout, cancel)
	defer timer.Stop()
	pieces := readerFunc(func(into []byte) (int, error) {
		timer.Reset(t.timeout)
		return response.Body.Read(into)
	})
	body, err := io.ReadAll(io.LimitReader(pieces, limit+1))
	if err != nil {
		return nil, unreachable(err)
	}
	if int64(len(body)) > limit {
		return nil, errTooMuch
	}
	return &answer{status: response.StatusCode, headers: response.Header, body: body}, nil
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(into []byte) (int, error) { return f(into) }
