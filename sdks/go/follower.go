package hallpass

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"
)

// follower follows the feed; there is one a validator.
type follower struct {
	issuer                     *issuer
	intake                     *intake
	own                        ownToken
	tokenEndpoint, revocations *url.URL
	// stream is nil where there is none: then the snapshot is fetched again and again.
	stream *url.URL
	// silence is how long a stream may say nothing, pollEvery how often the snapshot is fetched where there is none.
	silence, pollEvery time.Duration
	log                *logger
}

// run follows the feed until ctx ends.
func (f *follower) run(ctx context.Context) {
	var backoff backoff
	for ctx.Err() == nil {
		err := f.goOn(ctx, &backoff)
		if err == nil || ctx.Err() != nil {
			continue
		}
		f.log.interrupted(ctx, err)
		f.intake.interrupted(err)
		pause := backoff.soon()
		if !errors.Is(err, errMoved) {
			pause = backoff.next(err)
		}
		sleep(ctx, pause)
	}
}

// goOn does whatever comes next: begins with a snapshot, then reads the stream to its end.
func (f *follower) goOn(ctx context.Context, backoff *backoff) error {
	switch {
	case f.intake.cursor == nil:
		return f.fetchSnapshot(ctx)
	case f.stream != nil:
		return f.read(ctx, backoff)
	}
	if !sleep(ctx, f.pollEvery) {
		return nil
	}
	err := f.fetchSnapshot(ctx)
	if err == nil {
		backoff.reset()
	}
	return err
}

func (f *follower) request(ctx context.Context, at *url.URL, accept string) (*http.Request, error) {
	bearer, err := f.own.fetch(ctx, f.issuer, f.tokenEndpoint)
	if err != nil {
		return nil, err
	}
	request, err := get(at, accept)
	if err == nil {
		request.Header.Set("Authorization", bearer)
	}
	return request, err
}

// fetchSnapshot fetches all revocations and puts them in the place of those that are known.
func (f *follower) fetchSnapshot(ctx context.Context) error {
	request, err := f.request(ctx, f.revocations, "application/json")
	if err != nil {
		return err
	}
	if !f.intake.hasStream && f.intake.etag != "" {
		request.Header.Set("If-None-Match", f.intake.etag)
	}
	askedAt := f.intake.feed.monotonic()
	answer, err := f.issuer.transport.send(ctx, request, longAnswer)
	if err != nil {
		return err
	}
	if unchanged, err := f.intake.unchanged(answer, askedAt); unchanged || err != nil {
		return err
	}
	if err := f.unlessRefused(answer.ok()); err != nil {
		return err
	}
	return f.intake.takeList(answer, askedAt)
}

// read takes in events until there are no more, or until the clock should be measured again.
func (f *follower) read(ctx context.Context, backoff *backoff) error {
	request, err := f.request(ctx, f.stream, "text/event-stream")
	if err != nil {
		return err
	}
	request.Header.Set("Last-Event-ID", *f.intake.cursor)
	askedAt := f.intake.feed.monotonic()
	response, cancel, err := f.issuer.transport.open(ctx, request)
	if err != nil {
		return err
	}
	defer cancel()
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return f.unlessRefused(refusal(response.StatusCode, response.Header))
	}
	stream, err := f.intake.opened(askedAt, response.Header)
	if err != nil {
		return err
	}
	return f.takeIn(response, stream, cancel, backoff)
}

func (f *follower) takeIn(response *http.Response, stream *stream, cancel context.CancelFunc, backoff *backoff) error {
	silent := time.AfterFunc(f.silence, cancel)
	defer silent.Stop()
	for chunk := make([]byte, 16*1024); !f.intake.isOver(stream); {
		length, err := response.Body.Read(chunk)
		if length > 0 {
			heard, err := f.intake.read(stream, chunk[:length])
			if err != nil {
				return err
			}
			if heard.any {
				silent.Reset(f.silence)
			}
			if heard.fresh {
				backoff.reset()
			}
		}
		switch {
		case errors.Is(err, context.Canceled):
			return errSilent
		case err != nil:
			return errClosed
		}
	}
	return nil
}

// unlessRefused lets go of a token that the issuer does not take.
func (f *follower) unlessRefused(err error) error {
	var refused *statusError
	if errors.As(err, &refused) && refused.status == http.StatusUnauthorized {
		f.own.forget()
	}
	return err
}
