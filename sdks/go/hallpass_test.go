package hallpass

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"go/format"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestTheSourcesAreFormatted(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) < 10 {
		t.Fatalf("%v %v", files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		formatted, err := format.Source(text)
		if err != nil || string(formatted) != string(text) {
			t.Errorf("%s is not formatted: %v", file, err)
		}
	}
}

func TestASecretAndAnAddressAreNotShown(t *testing.T) {
	config := Config{Issuer: "https://id.example.com", ClientID: "orders", ClientSecret: "hush"}
	claims := Claims{Subject: "42", Email: "ada@example.com", payload: []byte("ada@example.com")}
	for _, shown := range []string{
		fmt.Sprintf("%v %+v %#v %s", config, config, config, config.LogValue()), fmt.Sprintf("%v %+v", &config, &config),
		fmt.Sprintf("%v %+v %#v %s", claims, claims, claims, claims.LogValue()), fmt.Sprintf("%v %+v", &claims, &claims),
	} {
		if strings.Contains(shown, "hush") || strings.Contains(shown, "ada@") {
			t.Error(shown)
		}
	}
}

func TestSettingsThatDoNotFitAreRefused(t *testing.T) {
	right := Config{Issuer: "https://id.example.com", Audience: "a", ClientID: "orders", ClientSecret: "hush"}
	for about, change := range map[string]func(*Config){
		"no issuer":       func(c *Config) { c.Issuer = "" },
		"no URL":          func(c *Config) { c.Issuer = "id.example.com" },
		"another scheme":  func(c *Config) { c.Issuer = "file:///etc/passwd" },
		"no audience":     func(c *Config) { c.Audience = "" },
		"an empty one":    func(c *Config) { c.OtherAudiences = []string{"b", ""} },
		"no TLS":          func(c *Config) { c.Issuer = "http://id.example.com" },
		"a way there":     func(c *Config) { c.ReachAt = "http://hallpass:8080" },
		"no secret":       func(c *Config) { c.ClientSecret = "" },
		"no client":       func(c *Config) { c.ClientID = "" },
		"another typ":     func(c *Config) { c.TokenType = "id+jwt" },
		"no certificates": func(c *Config) { c.RootCertificates = []byte("x") },
	} {
		config := right
		change(&config)
		if _, err := prepare(config); err == nil {
			t.Errorf("%s is taken", about)
		}
	}
	for about, change := range map[string]func(*Config){
		"as it is":    func(*Config) {},
		"on loopback": func(c *Config) { c.Issuer = "http://127.0.0.1:8080" },
		"localhost":   func(c *Config) { c.Issuer = "http://localhost:8080" },
		"without TLS": func(c *Config) { c.Issuer, c.DangerAllowHTTP = "http://id.example.com", true },
		"a way there": func(c *Config) { c.Issuer, c.ReachAt = "http://id.example.com", "http://127.0.0.1:8080" },
		"no client":   func(c *Config) { c.ClientID, c.ClientSecret, c.StalePolicy = "", "", Allow },
	} {
		config := right
		change(&config)
		if _, err := prepare(config); err != nil {
			t.Errorf("%s is refused: %v", about, err)
		}
	}
}

func TestAnEndpointIsTakenFromTheIssuersOriginAndFromThoseThatAreTrusted(t *testing.T) {
	config := Config{
		Issuer: "https://id.example.com", Audience: "a", ClientID: "c", ClientSecret: "s", TrustOrigins: []string{"https://keys.example.com"},
	}
	v, err := prepare(config)
	if err != nil {
		t.Fatal(err)
	}
	for _, own := range []string{"https://id.example.com/a", "https://id.example.com:443/a", "https://keys.example.com/a"} {
		if _, err := v.issuer.endpoint("jwks_uri", own); err != nil {
			t.Errorf("%s: %v", own, err)
		}
	}
	for _, foreign := range []string{
		"http://id.example.com/a", "https://id.example.com:8443/a", "https://example.com/a", "https://id.example.com.evil.example/a",
		"https://id.example.com@evil.example/a", "http://169.254.169.254/latest/meta-data", "file:///etc/passwd", "/a",
	} {
		if at, err := v.issuer.endpoint("jwks_uri", foreign); err == nil {
			t.Errorf("%s is taken: %s", foreign, at)
		}
	}
}

// A machine that sleeps, and a time of day that is set.
func TestASleeplessClockGoesWithTheClockThatWentFurther(t *testing.T) {
	var monotonic, wall int64
	clock := newSleeplessClock(func() int64 { return monotonic }, func() int64 { return wall })
	for _, step := range []struct{ monotonic, wall, elapsed int64 }{
		{10, 10, 10}, {10, 3_600_000, 3_600_010}, {5, 5, 3_600_015}, {7, -9_000_000, 3_600_022}, {1_000, 1_000, 3_601_022}, {0, 0, 3_601_022},
	} {
		monotonic, wall = monotonic+step.monotonic, wall+step.wall
		if now := clock.now(); now != step.elapsed {
			t.Errorf("%+v: %d", step, now)
		}
	}
}

func TestTheMachinesClockGoesOn(t *testing.T) {
	now := machinesMonotonic()
	before := now()
	within(t, time.Second, "the clock goes on", func() bool { return now() > before })
}

func TestPausesDoubleToABoundAndAServersWishIsHonoured(t *testing.T) {
	var pauses backoff
	for _, full := range []time.Duration{100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000} {
		full *= time.Millisecond
		if pause := pauses.next(nil); pause < full/2 || pause > full {
			t.Errorf("%v of %v", pause, full)
		}
	}
	pauses.reset()
	refused := refusal(503, http.Header{"Retry-After": {"7"}})
	if pause := pauses.next(fmt.Errorf("wrapped: %w", refused)); pause != 7*time.Second {
		t.Error(pause)
	}
}

func TestTheAgeThatTheIssuerAllowsIsReadWithinBounds(t *testing.T) {
	for written, seconds := range map[string]time.Duration{
		"max-age=60": 60, "public, max-age=60, must-revalidate": 60, `Max-Age="60"`: 60, "s-maxage=5, max-age=60": 60, "max-age=0": 1,
		"max-age=99999999": 86_400, "max-age=-1": 300, "no-store": 300, "": 300,
	} {
		if age := maxAge(http.Header{"Cache-Control": {written}}); age != seconds*time.Second {
			t.Errorf("%q: %v", written, age)
		}
	}
}

func TestTheCacheHoldsWhatIsUsedAndNoMoreThanItsCapacity(t *testing.T) {
	cache := newTokenCache(320)
	print := func(number int) fingerprint { return fingerprint{byte(number), byte(number >> 8), 1} }
	used := fingerprint{7, 7, 7}
	cache.insert(used, &known{})
	for number := 0; number < 10_000; number++ {
		cache.insert(print(number), &known{})
		if cache.find(used) == nil {
			t.Fatal("what is used was forgotten")
		}
	}
	held := 0
	for number := range cache.shards {
		held += len(cache.shards[number].young) + len(cache.shards[number].old)
	}
	if held > 320 || held < 160 {
		t.Error(held)
	}
	none := newTokenCache(-1)
	none.insert(used, &known{})
	if none.find(used) != nil {
		t.Error("a cache for none keeps one")
	}
}

func TestErrorsAreToldApart(t *testing.T) {
	for _, want := range []struct {
		err    error
		about  []error
		status int
	}{
		{errRevoked, []error{ErrRevoked}, 401},
		{errExpired, []error{ErrExpired, ErrInvalid}, 401},
		{errMalformed, []error{ErrInvalid}, 401},
		{errStale, []error{ErrStale, ErrUnavailable}, 503},
		{errNoKeys, []error{ErrUnavailable}, 503},
		{(&Claims{}).RequirePerson(), []error{ErrForbidden}, 403},
	} {
		var refusal *Error
		if !errors.As(want.err, &refusal) || refusal.Status != want.status {
			t.Errorf("%v", want.err)
		}
		for _, about := range []error{ErrInvalid, ErrExpired, ErrRevoked, ErrForbidden, ErrUnavailable, ErrStale} {
			expected := false
			for _, own := range want.about {
				expected = expected || own == about
			}
			if errors.Is(want.err, about) != expected {
				t.Errorf("%v is %v: %v", want.err, about, !expected)
			}
		}
	}
}

func TestARefusalIsAnsweredWithProblemDetails(t *testing.T) {
	recorder := httptest.NewRecorder()
	WriteProblem(recorder, errRevoked)
	body := `{"type":"urn:hallpass:error:token_revoked","title":"Unauthorized","status":401,"detail":"The token has been revoked.","code":"token_revoked"}`
	if recorder.Body.String() != body || recorder.Header().Get("Content-Type") != "application/problem+json" {
		t.Error(recorder.Body.String(), recorder.Header())
	}
	challenge := `Bearer error="invalid_token", error_description="the token has been revoked"`
	if recorder.Header().Get("WWW-Authenticate") != challenge {
		t.Error(recorder.Header())
	}
	recorder = httptest.NewRecorder()
	WriteProblem(recorder, errors.New("something of somebody's"))
	if recorder.Code != 503 || recorder.Header().Get("Retry-After") != "1" || strings.Contains(recorder.Body.String(), "somebody") {
		t.Error(recorder.Code, recorder.Header(), recorder.Body.String())
	}
}

// fakeIssuer answers what a test says.
func fakeIssuer(t *testing.T, paths map[string]http.HandlerFunc) *httptest.Server {
	t.Helper()
	var server *httptest.Server
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Hallpass-Clock", "1000")
		switch handler := paths[r.URL.Path]; {
		case handler != nil:
			handler(w, r)
		case r.URL.Path == wellKnown:
			fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q,"token_endpoint":%q,"introspection_endpoint":%q,"hallpass_revocations_endpoint":%q}`,
				server.URL, server.URL+"/jwks", server.URL+"/token", server.URL+"/introspect", server.URL+"/list")
		case r.URL.Path == "/token":
			fmt.Fprint(w, `{"access_token":"own","expires_in":60}`)
		case r.URL.Path == "/list":
			fmt.Fprint(w, `{"cursor":"c","entries":[],"server_time":1,"server_time_ms":1000}`)
		case r.URL.Path == "/jwks":
			fmt.Fprint(w, publishedKeys(t))
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(server.Close)
	return server
}

// publishedKeys is the key set of the vectors, right the token that they begin with.
func publishedKeys(t *testing.T) string { return vectorLine(t, "keys").JWKS }

func right(t *testing.T) *probeLine { return vectorLine(t, "token") }

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func TestAnIssuerThatSendsElsewhereIsNotFollowed(t *testing.T) {
	var asked atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer elsewhere.Close()
	server := fakeIssuer(t, map[string]http.HandlerFunc{"/token": func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
	}})
	_, err := New(context.Background(), Config{Issuer: server.URL, Audience: "a", ClientID: "c", ClientSecret: "s", Logger: quiet()})
	if err == nil || asked.Load() != 0 {
		t.Errorf("%v, asked %d times", err, asked.Load())
	}
}

func TestInventedKeyIdsCostTheIssuerOneFetchEachCoolDown(t *testing.T) {
	var fetches atomic.Int32
	server := fakeIssuer(t, map[string]http.HandlerFunc{"/jwks": func(w http.ResponseWriter, _ *http.Request) {
		fetches.Add(1)
		fmt.Fprint(w, publishedKeys(t))
	}})
	config := Config{Issuer: server.URL, Audience: "a", ClientID: "c", ClientSecret: "s", KeyCoolDown: time.Hour, Logger: quiet()}
	v, err := New(context.Background(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	invented := base64URL.EncodeToString([]byte(`{"alg":"ES256","kid":"invented","typ":"at+jwt"}`)) + ".e30.AA"
	for number := 0; number < 50; number++ {
		if _, err := v.Verify(context.Background(), invented); !errors.Is(err, ErrInvalid) {
			t.Fatal(err)
		}
	}
	if fetches.Load() != 2 {
		t.Errorf("%d fetches", fetches.Load())
	}
}

// The feed is followed, and whoever asks while it is stale is answered by the policy.
func TestWhileTheFeedIsStaleThePolicySaysWhatHappens(t *testing.T) {
	var active atomic.Value
	server := fakeIssuer(t, map[string]http.HandlerFunc{"/introspect": func(w http.ResponseWriter, r *http.Request) {
		if user, secret, _ := r.BasicAuth(); user != "c" || secret != "s%3A+%25" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Fprint(w, active.Load())
	}})
	token := right(t)
	for _, want := range []struct {
		policy StalePolicy
		active string
		about  error
	}{
		{Reject, "{}", ErrStale}, {Allow, "{}", nil}, {Introspect, `{"active":true}`, nil}, {Introspect, `{"active":false}`, ErrRevoked},
		{Introspect, "{}", ErrStale}, {Introspect, "", ErrUnavailable},
	} {
		active.Store(want.active)
		var at atomic.Int64
		config := Config{
			Issuer: server.URL, Audience: token.Audience[0], ClientID: "c", ClientSecret: "s: %", StalePolicy: want.policy, Logger: quiet(),
			now: func() time.Time { return time.UnixMilli(token.Now) }, monotonic: at.Load,
		}
		v, err := prepare(config)
		if err != nil {
			t.Fatal(err)
		}
		// The vectors' issuer has another name than the server.
		v.rules.issuer = token.Issuer
		if _, err = v.connect(context.Background()); err != nil {
			t.Fatal(err)
		}
		if _, err := v.Verify(context.Background(), token.Token); err != nil {
			t.Errorf("fresh: %v", err)
		}
		at.Store(60_000)
		if _, err := v.Verify(context.Background(), token.Token); !errors.Is(err, want.about) {
			t.Errorf("%+v: %v", want, err)
		}
	}
}

func TestAnAuthorityOfOnesOwnIsTrustedWhereItIsNamed(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	root := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	config := Config{Issuer: server.URL, Audience: "a", ClientID: "c", ClientSecret: "s", Logger: quiet()}
	_, err := New(context.Background(), config)
	var refused *statusError
	if err == nil || errors.As(err, &refused) {
		t.Errorf("a stranger's certificate: %v", err)
	}
	config.RootCertificates = root
	if _, err = New(context.Background(), config); !errors.As(err, &refused) || refused.status != http.StatusNotFound {
		t.Errorf("our own: %v", err)
	}
}

// A stream that breaks, falls silent or is refused is opened again behind the last event, with a new token of its own where
// the old one was not taken.
func TestAStreamGoesOnBehindTheLastEvent(t *testing.T) {
	asked := make(chan string, 100)
	var streams, tokens atomic.Int32
	var server *httptest.Server
	server = fakeIssuer(t, map[string]http.HandlerFunc{
		wellKnown: func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q,"token_endpoint":%q,"hallpass_revocations_endpoint":%q,"hallpass_revocations_stream_endpoint":%q}`,
				server.URL, server.URL+"/jwks", server.URL+"/token", server.URL+"/list", server.URL+"/stream")
		},
		"/token": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"access_token":"own-%d","expires_in":3600}`, tokens.Add(1))
		},
		"/stream": func(w http.ResponseWriter, r *http.Request) {
			asked <- r.Header.Get("Authorization") + " " + r.Header.Get("Last-Event-ID")
			switch streams.Add(1) {
			case 1: // It ends after an event.
				fmt.Fprint(w, "event: news\nid: c1\ndata: {}\n\n")
			case 2: // It falls silent after an event.
				fmt.Fprint(w, "event: news\nid: c2\ndata: {}\n\n")
				_ = http.NewResponseController(w).Flush()
				<-r.Context().Done()
			case 3:
				w.WriteHeader(http.StatusUnauthorized)
			case 4: // What follows is no longer there.
				w.WriteHeader(http.StatusGone)
			default:
				<-r.Context().Done()
			}
		},
	})
	config := Config{Issuer: server.URL, Audience: "a", ClientID: "c", ClientSecret: "s", SilenceTimeout: 50 * time.Millisecond, Logger: quiet()}
	v, err := New(context.Background(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	for _, expected := range []string{"Bearer own-1 c", "Bearer own-1 c1", "Bearer own-1 c2", "Bearer own-2 c2", "Bearer own-2 c"} {
		select {
		case seen := <-asked:
			if seen != expected {
				t.Errorf("%q, expected %q", seen, expected)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("no stream is opened: %q", expected)
		}
	}
}

// One that only sends others away is no better than one that ends: whoever came again at once would come for ever.
func TestAStreamThatOnlySendsAwayHasEnded(t *testing.T) {
	intake := &intake{feed: newFeed(func() int64 { return 0 }), now: time.Now}
	again := []byte("event: reconnect\ndata: {}\n\n")
	for wasTold, expected := range map[bool]error{false: errClosed, true: errMoved} {
		stream := &stream{clock: &issuerClock{}, wasTold: wasTold}
		if _, err := intake.read(stream, again); !errors.Is(err, expected) {
			t.Errorf("told before %v: %v", wasTold, err)
		}
	}
}

func TestATokenForAnyOfSeveralAudiencesWillDo(t *testing.T) {
	line := right(t)
	for _, want := range []struct {
		audience string
		others   []string
		ok       bool
	}{
		{line.Audience[0], nil, true}, {"b", []string{line.Audience[0]}, true}, {line.Audience[0], []string{"b"}, true}, {"b", []string{"c"}, false},
	} {
		config := Config{
			Issuer: line.Issuer, Audience: want.audience, OtherAudiences: want.others, ClientID: "c", ClientSecret: "s",
			now: func() time.Time { return time.UnixMilli(line.Now) },
		}
		v, err := prepare(config)
		if err != nil {
			t.Fatal(err)
		}
		keys, err := parseKeySet([]byte(publishedKeys(t)))
		if err != nil {
			t.Fatal(err)
		}
		v.rules.keys = keys
		if _, refusal := v.rules.verify(line.Token, config.now()); (refusal == nil) != want.ok {
			t.Errorf("%+v: %v", want, refusal)
		}
	}
}
