package hallpass

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestMain has a test program that is called probe-go be this package's probe: see verify/vectors/README.md. It can look at
// what the package does not show.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) != "probe-go" {
		os.Exit(m.Run())
	}
	if err := runProbe(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "probe-go:", err)
		os.Exit(1)
	}
}

func runProbe(arguments []string) error {
	if len(arguments) == 4 && arguments[0] == "live" {
		return live(arguments[1], arguments[2], arguments[3])
	}
	if len(arguments) != 0 {
		return errors.New("probe-go | probe-go live ISSUER AUDIENCE CLIENT_ID")
	}
	probe := probe{}
	return eachLine(func(line []byte) (any, error) {
		var asked probeLine
		if err := json.Unmarshal(line, &asked); err != nil {
			return nil, err
		}
		return probe.answer(&asked)
	})
}

// eachLine answers what stands on stdin, line by line.
func eachLine(answer func([]byte) (any, error)) error {
	in := bufio.NewReader(os.Stdin)
	for {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		answered, err := answer(line)
		if err != nil {
			return err
		}
		text, err := json.Marshal(answered)
		if err != nil {
			return err
		}
		if _, err := os.Stdout.Write(append(text, '\n')); err != nil {
			return err
		}
	}
}

func live(issuer, audience, client string) error {
	config := Config{
		Issuer: issuer, Audience: audience, ClientID: client, ClientSecret: os.Getenv("HALLPASS_CLIENT_SECRET"), Lazy: true,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	ctx := context.Background()
	v, err := New(ctx, config)
	if err != nil {
		return err
	}
	defer v.Close()
	for status := v.Status(); status.Keys == 0 || !status.IsFresh; status = v.Status() {
		time.Sleep(5 * time.Millisecond)
	}
	fmt.Println("ready")
	return eachLine(func(line []byte) (any, error) {
		_, err := v.Verify(ctx, strings.TrimRight(string(line), "\n"))
		return answerOf(err), nil
	})
}

// probeLine is a line of verify/vectors.
type probeLine struct {
	Kind, ID, Name, JWKS, Keys, Issuer, Typ, Token, Policy string
	Audience                                               oneOrMore
	Leeway                                                 int64 `json:"leeway_ms"`
	MaxStaleness                                           int64 `json:"max_staleness_ms"`
	Now                                                    int64 `json:"now_ms"`
	Authorization                                          []string
	Require                                                struct {
		Person        *bool
		Roles, Scopes []string
	}
	Stream bool
	Steps  []probeStep
	Expect probeAnswer
}

// oneOrMore is a text, or a list of texts.
type oneOrMore []string

func (o *oneOrMore) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*o = oneOrMore{one}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(o))
}

type probeStep struct {
	Do, Token, Body string
	Text, Base64    *string
	Keys            *string
	At              int64  `json:"at_ms"`
	Now             *int64 `json:"now_ms"`
	Asked           int64  `json:"asked_ms"`
	Status          int
	Headers         map[string]string
}

type probeAnswer = map[string]any

// probe has the key sets by their names, as they came.
type probe map[string][]byte

func (p probe) answer(line *probeLine) (probeAnswer, error) {
	switch line.Kind {
	case "keys":
		p[line.Name] = []byte(line.JWKS)
		return probeAnswer{"verdict": "ok"}, nil
	case "token", "request":
		return p.judge(line)
	case "feed":
		return p.follow(line)
	}
	return probeAnswer{"verdict": "skipped"}, nil
}

func answerOf(err error) probeAnswer {
	var refusal *Error
	switch {
	case err == nil:
		return probeAnswer{"verdict": "ok"}
	case errors.As(err, &refusal):
		return probeAnswer{"verdict": "refused", "code": refusal.Code, "status": refusal.Status}
	}
	return probeAnswer{"verdict": "failed", "error": err.Error()}
}

// replay is a validator without a network.
type replay struct {
	*Validator
	work   *work
	stream *stream
	// at is the clock that ages are counted by, now the time of day; milliseconds.
	at, now int64
}

func newReplay(line *probeLine) (*replay, error) {
	r := &replay{}
	config := Config{
		Issuer: line.Issuer, Audience: line.Audience[0], OtherAudiences: line.Audience[1:], TokenType: line.Typ,
		ClientID: "orders", ClientSecret: "hush",
		Leeway: time.Duration(line.Leeway) * time.Millisecond, MaxStaleness: time.Duration(line.MaxStaleness) * time.Millisecond,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		now:    func() time.Time { return time.UnixMilli(r.now) }, monotonic: func() int64 { return r.at },
	}
	if line.Leeway == 0 {
		config.Leeway = -1
	}
	if line.Policy == "allow" {
		config.StalePolicy = Allow
	}
	var err error
	if r.Validator, err = prepare(config); err != nil {
		return nil, err
	}
	somewhere := &url.URL{}
	found := &endpoints{jwks: somewhere, token: somewhere, revocations: somewhere}
	if line.Stream {
		found.stream = somewhere
	}
	r.work, err = r.layOut(found)
	return r, err
}

// judge looks at a token of which no revocation is known.
func (p probe) judge(line *probeLine) (probeAnswer, error) {
	r, err := newReplay(line)
	if err != nil {
		return nil, err
	}
	r.now = line.Now
	r.feed.completed(0)
	r.work.keeper.fetched(p[line.Keys])
	wants := requirements{roles: line.Require.Roles, scopes: line.Require.Scopes}
	wants.machines = line.Kind == "token"
	if line.Require.Person != nil {
		wants.machines = !*line.Require.Person
	}
	if line.Kind == "request" {
		return r.request(line, &wants), nil
	}
	claims, err := r.check(line.Token)
	if err != nil && r.keys.len() == 0 {
		err = errNoKeys
	}
	if err == nil {
		err = wants.judge(claims)
	}
	return answerOf(err), nil
}

// request sends one through the middleware.
func (r *replay) request(line *probeLine, wants *requirements) probeAnswer {
	asked := []Requirement{func(r *requirements) { *r = *wants }}
	request := httptest.NewRequest(http.MethodGet, "/", nil)
	request.Header["Authorization"] = line.Authorization
	var seen *Claims
	recorder := httptest.NewRecorder()
	r.Middleware(asked...)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		seen, _ = FromContext(r.Context())
	})).ServeHTTP(recorder, request)
	if seen != nil {
		return probeAnswer{"verdict": "ok"}
	}
	answer := probeAnswer{"verdict": "refused", "status": recorder.Code, "challenge": nil, "retry_after": nil}
	var body problem
	if json.Unmarshal(recorder.Body.Bytes(), &body) == nil && body.Status == recorder.Code {
		answer["code"] = body.Code
	}
	if challenge := recorder.Header().Get("WWW-Authenticate"); challenge != "" {
		answer["challenge"], _, _ = strings.Cut(challenge, ", error_description=")
	}
	if wait := recorder.Header().Get("Retry-After"); wait != "" {
		answer["retry_after"] = json.Number(wait)
	}
	return answer
}

func (p probe) follow(line *probeLine) (probeAnswer, error) {
	r, err := newReplay(line)
	if err != nil {
		return nil, err
	}
	answers := []probeAnswer{}
	for _, step := range line.Steps {
		r.at = step.At
		if step.Now != nil {
			r.now = *step.Now
		}
		answers = append(answers, p.step(r, &step))
	}
	return probeAnswer{"steps": answers}, nil
}

func (p probe) step(r *replay, step *probeStep) probeAnswer {
	intake := r.work.follower.intake
	var err error
	switch step.Do {
	case "keys":
		var set []byte
		if step.Keys != nil {
			set = p[*step.Keys]
		}
		r.work.keeper.fetched(set)
		return probeAnswer{}
	case "check":
		_, err := r.check(step.Token)
		return answerOf(err)
	case "list":
		r.stream = nil
		err = r.list(step)
	case "open":
		r.stream, err = r.open(step)
	case "bytes":
		_, err = intake.read(r.stream, step.bytes())
		if err == nil && intake.isOver(r.stream) {
			r.stream = nil
		}
	case "end":
		err = errClosed
	}
	if err != nil {
		r.stream = nil
		intake.interrupted(err)
	}
	return r.next(err)
}

func (s *probeStep) bytes() []byte {
	if s.Base64 == nil {
		return []byte(*s.Text)
	}
	decoded, err := base64.StdEncoding.DecodeString(*s.Base64)
	if err != nil {
		panic(err)
	}
	return decoded
}

func (s *probeStep) answer() *answer {
	headers := http.Header{}
	for name, value := range s.Headers {
		headers.Add(name, value)
	}
	return &answer{status: s.Status, headers: headers, body: []byte(s.Body)}
}

func (r *replay) list(step *probeStep) error {
	intake, answer := r.work.follower.intake, step.answer()
	if unchanged, err := intake.unchanged(answer, step.Asked); unchanged || err != nil {
		return err
	}
	if err := answer.ok(); err != nil {
		return err
	}
	return intake.takeList(answer, step.Asked)
}

func (r *replay) open(step *probeStep) (*stream, error) {
	answer := step.answer()
	if err := answer.ok(); err != nil {
		return nil, err
	}
	return r.work.follower.intake.opened(step.Asked, answer.headers)
}

func (r *replay) next(err error) probeAnswer {
	intake := r.work.follower.intake
	answer := probeAnswer{"next": "list"}
	switch {
	case r.stream != nil:
		answer["next"] = "read"
	case intake.hasStream && intake.cursor != nil:
		answer["next"], answer["last_event_id"] = "open", *intake.cursor
	}
	if wait, asked := retryAfterOf(err); asked {
		answer["wait_ms"] = wait.Milliseconds()
	}
	return answer
}
