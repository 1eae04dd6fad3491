package hallpass

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"time"
)

// StalePolicy says what to do with a token while the issuer's revocations have not been heard of for longer than
// [Config.MaxStaleness]. Revocations that are known are honoured with every policy.
type StalePolicy int

const (
	// Reject answers 503. No token is accepted later than MaxStaleness after its revocation was told to anybody; without the
	// issuer, nobody gets in.
	Reject StalePolicy = iota
	// Introspect asks the issuer about each token (RFC 7662). As safe as Reject, at the price of one request a check.
	Introspect
	// Allow accepts what is not known to be revoked. The service outlives its issuer, and tokens that were revoked meanwhile
	// pass until they expire, or until the feed is back.
	Allow
)

// Config is the settings of a [Validator]. Issuer, Audience, ClientID and ClientSecret are needed; the others have defaults.
type Config struct {
	// Issuer and Audience are compared to the letter with what tokens say.
	Issuer, Audience string
	// OtherAudiences are further ones: a token for any of them will do.
	OtherAudiences []string
	// The client that this service is to the issuer; it may have the scope revocations:read. Only Allow can do without, and
	// then knows of no revocation.
	ClientID, ClientSecret string

	StalePolicy StalePolicy
	// MaxStaleness is how old the knowledge of revocations may be: 2 seconds. A heartbeat comes every second, so less than two
	// makes it stale now and then.
	MaxStaleness time.Duration
	// TokenType is what a token's header must name as typ: at+jwt. JWT is for issuers whose other validators refuse that.
	TokenType string
	// Leeway is how far the issuer's clock and this machine's may differ: 5 seconds, none where it is negative.
	Leeway time.Duration
	// RequestTimeout is how long the issuer may take to answer, and a caller waits for it: 2 seconds.
	RequestTimeout time.Duration
	// SilenceTimeout is after how long without an event the stream is opened anew: 3 seconds. It decides how soon the feed is
	// back, not whether it is trusted.
	SilenceTimeout time.Duration
	// KeyCoolDown is the least time between two fetches of the keys that tokens with unknown key ids cause: 10 seconds.
	KeyCoolDown time.Duration
	// CachedTokens is for about how many tokens to remember that their signature is right: 10,000, none where it is negative.
	CachedTokens int

	// ReachAt is where the issuer is reached, if not at its own URL: http://hallpass:8080 inside a cluster, say.
	ReachAt string
	// TrustOrigins are others, as URLs, whose endpoints the issuer's metadata may name.
	TrustOrigins []string
	// RootCertificates (PEM) are trusted beside those of the machine.
	RootCertificates []byte
	// DangerAllowHTTP allows an issuer without TLS that is not on this machine. Whoever is on the way there can read the
	// secret, put keys in place of the issuer's and keep revocations back.
	DangerAllowHTTP bool

	// Lazy has New return at once and reach the issuer in the background; until then no token can be checked.
	Lazy bool
	// Logger is told of what goes wrong on the way to the issuer; nil for slog.Default().
	Logger *slog.Logger

	// For tests.
	now       func() time.Time
	monotonic func() int64
}

// String leaves the secret out.
func (c Config) String() string { return fmt.Sprintf("{%q %q %q}", c.Issuer, c.Audience, c.ClientID) }

// GoString is String.
func (c Config) GoString() string { return c.String() }

// LogValue is String, for log/slog.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

// Validator checks access tokens in this process, by keys and revocations that it fetches from the issuer in the background.
// Make one for each issuer and audience and share it: it is safe for concurrent use.
type Validator struct {
	config        Config
	keys          *keys
	feed          *feed
	introspection *introspection
	issuer        *issuer
	rules         verifier
	log           *logger
	stop          context.CancelFunc
}

// Status is how a [Validator] is doing: for health checks and metrics.
type Status struct {
	// Keys in use; with none, no token can be checked. Revocations that are known.
	Keys, Revocations int
	// FeedAge is how old the knowledge of revocations is, where HasFeed says that there ever was any.
	FeedAge time.Duration
	HasFeed bool
	// IsFresh says whether that is young enough.
	IsFresh bool
}

// New fetches the issuer's metadata, keys and revocations, and follows them until ctx ends or [Validator.Close] is called:
// give it the context that the service runs under, and none with a time limit. Nothing is tried twice before New returns,
// unless [Config.Lazy] is set.
func New(ctx context.Context, config Config) (*Validator, error) {
	v, err := prepare(config)
	if err != nil {
		return nil, err
	}
	ctx, v.stop = context.WithCancel(ctx)
	if v.config.Lazy {
		go v.connectInTheBackground(ctx)
		return v, nil
	}
	work, err := v.connect(ctx)
	if err != nil {
		v.stop()
		return nil, err
	}
	work.run(ctx, work.goodFor)
	return v, nil
}

func prepare(config Config) (*Validator, error) {
	config.setDefaults()
	if config.StalePolicy != Allow && (config.ClientID == "" || config.ClientSecret == "") {
		return nil, errors.New("client credentials are needed for every stale policy but Allow")
	}
	typ := asciiLower(config.TokenType)
	if typ != "at+jwt" && typ != "jwt" {
		return nil, fmt.Errorf("%q is no type of access tokens: at+jwt or JWT", config.TokenType)
	}
	issuer, err := newIssuer(&config)
	if err != nil {
		return nil, err
	}
	return &Validator{
		config: config, keys: newKeys(config.KeyCoolDown), feed: newFeed(config.monotonic),
		introspection: newIntrospection(issuer), issuer: issuer, log: &logger{config.Logger},
		rules: verifier{
			issuer: config.Issuer, audiences: append([]string{config.Audience}, config.OtherAudiences...),
			typ: typ, leeway: int64(config.Leeway / time.Second),
		},
		stop: func() {},
	}, nil
}

func (c *Config) setDefaults() {
	setDefault(&c.MaxStaleness, 2*time.Second)
	setDefault(&c.TokenType, "at+jwt")
	setDefault(&c.Leeway, 5*time.Second)
	setDefault(&c.RequestTimeout, 2*time.Second)
	setDefault(&c.SilenceTimeout, 3*time.Second)
	setDefault(&c.KeyCoolDown, 10*time.Second)
	setDefault(&c.CachedTokens, 10_000)
	setDefault(&c.Logger, slog.Default())
	if c.Leeway < 0 {
		c.Leeway = 0
	}
	if c.now == nil {
		c.now = time.Now
	}
	if c.monotonic == nil {
		c.monotonic = machinesMonotonic()
	}
}

func setDefault[T comparable](value *T, unlessSet T) {
	var unset T
	if *value == unset {
		*value = unlessSet
	}
}

func newIssuer(config *Config) (*issuer, error) {
	if config.Audience == "" || contains(config.OtherAudiences, "") {
		return nil, errors.New("the audience is missing")
	}
	at, err := config.address(config.Issuer, config.ReachAt == "")
	if err != nil {
		return nil, err
	}
	built := &issuer{name: config.Issuer, url: at, clientID: config.ClientID, secret: config.ClientSecret}
	if config.ReachAt != "" {
		if built.reachAt, err = config.address(config.ReachAt, true); err != nil {
			return nil, err
		}
	}
	for _, text := range config.TrustOrigins {
		trusted, err := config.address(text, true)
		if err != nil {
			return nil, err
		}
		built.trusted = append(built.trusted, origin(trusted))
	}
	roots, err := config.roots()
	built.transport = newTransport(roots, config.RequestTimeout)
	return built, err
}

// address reads a URL; travelled says whether requests go there.
func (c *Config) address(text string, travelled bool) (*url.URL, error) {
	at, err := url.Parse(text)
	if err != nil || origin(at) == "" {
		return nil, fmt.Errorf("%q is no URL of an issuer", text)
	}
	if at.Scheme == "http" && travelled && !c.DangerAllowHTTP && !isLoopback(at) {
		return nil, fmt.Errorf("%s is not https; only a loopback address may do without, or allow it with DangerAllowHTTP", text)
	}
	return at, nil
}

// roots are nil for the machine's own.
func (c *Config) roots() (*x509.CertPool, error) {
	if c.RootCertificates == nil {
		return nil, nil
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if !roots.AppendCertsFromPEM(c.RootCertificates) {
		return nil, errors.New("a root certificate cannot be read")
	}
	return roots, nil
}

// work is what goes on in the background.
type work struct {
	keeper *keyKeeper
	// follower is nil where nothing can be followed.
	follower *follower
	goodFor  time.Duration
}

// connect fetches everything once.
func (v *Validator) connect(ctx context.Context) (*work, error) {
	found, err := v.issuer.discover(ctx)
	if err != nil {
		return nil, err
	}
	work, err := v.layOut(found)
	if err != nil {
		return nil, err
	}
	if work.goodFor, err = work.keeper.fetch(ctx, false); err != nil {
		return nil, fmt.Errorf("the issuer's keys cannot be fetched: %w", err)
	}
	if work.follower != nil {
		if err := work.follower.fetchSnapshot(ctx); err != nil {
			return nil, fmt.Errorf("the issuer's revocations cannot be fetched: %w", err)
		}
	}
	return work, nil
}

// layOut lays out the work, now that the issuer has said where everything is.
func (v *Validator) layOut(found *endpoints) (*work, error) {
	keeper := &keyKeeper{
		issuer: v.issuer, keys: v.keys, jwks: found.jwks, rules: v.rules, cachedTokens: v.config.CachedTokens, log: v.log,
	}
	if v.config.StalePolicy == Introspect && found.introspection == nil {
		return nil, errors.New("the issuer has no introspection_endpoint")
	}
	v.introspection.found(found.introspection)
	follower, err := v.layOutFollower(found)
	return &work{keeper: keeper, follower: follower}, err
}

func (v *Validator) layOutFollower(found *endpoints) (*follower, error) {
	switch {
	case v.config.ClientID == "":
		return nil, nil
	case found.revocations != nil && found.token != nil:
	// Every token is introspected then, or none is refused.
	case v.config.StalePolicy != Reject:
		return nil, nil
	case found.revocations == nil:
		return nil, errors.New("the issuer has no hallpass_revocations_endpoint")
	default:
		return nil, errors.New("the issuer has no token_endpoint")
	}
	return &follower{
		issuer: v.issuer, tokenEndpoint: found.token, revocations: found.revocations, stream: found.stream,
		silence: v.config.SilenceTimeout, pollEvery: v.config.MaxStaleness / 3, log: v.log,
		intake: &intake{
			feed: v.feed, wantKeys: v.keys.want, now: v.config.now, leeway: v.rules.leeway,
			maxStaleness: v.config.MaxStaleness, hasStream: found.stream != nil,
			warn: func(text string) { v.log.warn(context.Background(), text, nil) },
		},
	}, nil
}

func (v *Validator) connectInTheBackground(ctx context.Context) {
	var backoff backoff
	for {
		found, err := v.issuer.discover(ctx)
		if err == nil {
			var work *work
			if work, err = v.layOut(found); err == nil {
				// Keys that are good for no time at all are fetched at once.
				work.run(ctx, 0)
				return
			}
		}
		v.log.warn(ctx, "the issuer is of no use yet", err)
		if !sleep(ctx, backoff.next(err)) {
			return
		}
	}
}

func (w *work) run(ctx context.Context, goodFor time.Duration) {
	go w.keeper.run(ctx, goodFor)
	if w.follower != nil {
		go w.follower.run(ctx)
	}
}

// Close ends the work in the background. What is known grows stale then.
func (v *Validator) Close() { v.stop() }

// Verify checks a token: signature, claims, revocation. An error is an [*Error], whose Status tells 401 from 503.
//
// It waits for the issuer in two cases only, and as long as ctx allows: for its keys, when the token names one that is not
// known (once a cool-down at most), and with [Introspect] while the feed is stale.
func (v *Validator) Verify(ctx context.Context, token string) (*Claims, error) {
	found, fresh, refusal := v.look(token)
	if refusal == errUnknownKey {
		if !v.keys.settle(ctx, v.config.RequestTimeout) {
			return nil, errKeysOutOfDate
		}
		found, fresh, refusal = v.look(token)
	}
	if refusal != nil {
		return nil, refusal
	}
	if !fresh {
		return v.whenStale(ctx, token, found)
	}
	return found.claims, nil
}

// check is Verify without waiting for anything.
func (v *Validator) check(token string) (*Claims, error) {
	found, fresh, refusal := v.look(token)
	if refusal == errUnknownKey {
		due := false
		if refusal, due, _ = v.keys.onUnknownKid(); due {
			v.keys.want()
		}
	}
	switch {
	case refusal != nil:
		return nil, refusal
	case !fresh:
		return nil, errStale
	}
	return found.claims, nil
}

// look says what this process knows on its own. A list that is too old says yes to nothing, unless the policy allows it.
func (v *Validator) look(token string) (found *known, fresh bool, refusal *Error) {
	ring := v.keys.ring.Load()
	if ring == nil {
		return nil, false, errNoKeys
	}
	if found, refusal = ring.verify(token, v.config.now()); refusal != nil {
		return nil, false, refusal
	}
	// The age before the list: the list may only be younger than the age that is judged.
	fresh = v.feed.isFresh(v.config.MaxStaleness)
	if v.feed.list.Load().isRevoked(found.claims, found.kid) {
		return nil, false, errRevoked
	}
	return found, fresh || v.config.StalePolicy == Allow, nil
}

func (v *Validator) whenStale(ctx context.Context, token string, found *known) (*Claims, error) {
	endpoint := v.introspection.at()
	if v.config.StalePolicy != Introspect || endpoint == nil {
		return nil, errStale
	}
	active, err := v.introspection.isActive(ctx, endpoint, token)
	switch {
	case err != nil:
		return nil, unavailable(fmt.Errorf("the issuer cannot be asked about the token: %w", err), ErrStale)
	case !active:
		return nil, errRevoked
	}
	return found.claims, nil
}

// Status is how it is doing.
func (v *Validator) Status() Status {
	age, known := v.feed.age()
	return Status{
		Keys: v.keys.len(), Revocations: v.feed.list.Load().len(),
		FeedAge: age, HasFeed: known, IsFresh: known && age <= v.config.MaxStaleness,
	}
}

// logger tells of what goes wrong on the way to the issuer.
type logger struct{ *slog.Logger }

func (l *logger) warn(ctx context.Context, text string, err error) {
	if ctx.Err() != nil {
		return
	}
	if err == nil {
		l.WarnContext(ctx, text)
		return
	}
	l.WarnContext(ctx, text, "error", err.Error())
}

// interrupted logs it. Streams are ended now and then by the issuer, or by a proxy; that alone is nothing to mend.
func (l *logger) interrupted(ctx context.Context, err error) {
	if errors.Is(err, errMoved) || errors.Is(err, errClosed) {
		l.DebugContext(ctx, "the revocation feed is opened anew", "error", err.Error())
		return
	}
	l.warn(ctx, "the revocation feed is interrupted", err)
}
