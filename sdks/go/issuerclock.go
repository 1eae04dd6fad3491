package hallpass

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
)

// When what the issuer says was true, by this machine's clock. A statement that arrives late is as old as it is late, so what
// counts is the moment that it names, by the issuer's clock. Where that stands against the local one is bounded by a request
// of our own: the issuer looks at its clock after the request was sent. Of all that is possible the bound takes what makes
// statements oldest. All numbers here are milliseconds.

const (
	// goodFor is how long the bound is good: two clocks drift apart by some milliseconds in this time.
	goodForMs = 5 * 60 * 1_000
	// driftMs is by how much a statement may lie ahead of its arrival: what clocks drift apart by meanwhile.
	driftMs = 250
	// settlingMs is by how much statements may become younger while one bound holds. An issuer's statement is up to a second
	// old when it is made, so more than that looks as if its clock had been set forward.
	settlingMs = 1_000
	// measuredAgainMs is how long after a measurement another one is of use where statements are too old: the issuer's clock
	// may have been set back.
	measuredAgainMs = 10 * 1_000
)

// issuerClock is the issuer's clock against the local one, as one answer bounds it.
type issuerClock struct {
	// What the issuer's clock showed, the earliest moment at which it can have, and when the answer came.
	showed, askedAt, answeredAt int64
	// The most that a statement was late by since; never where there was none.
	latest int64
}

var (
	errClockWasSet = errors.New("the issuer's clock seems to have been set")
	errNoClock     = errors.New("the answer does not say what the issuer's clock shows")
)

// clockOf is what an answer says about the clock, between the moments at which it was asked for and came.
func clockOf(askedAt, answeredAt int64, headers http.Header) (*issuerClock, error) {
	showed, err := strconv.ParseInt(strings.TrimSpace(headers.Get("Hallpass-Clock")), 10, 64)
	if err != nil {
		return nil, errNoClock
	}
	return &issuerClock{showed: showed, askedAt: askedAt, answeredAt: answeredAt, latest: never}, nil
}

// earliest is the moment that the issuer's clock shows as stated, or an earlier one: counted from when it was asked, not from
// when the answer came.
func (c *issuerClock) earliest(stated int64) int64 {
	// The clock showed a part of a millisecond more.
	before := addSaturating(subSaturating(c.showed, stated), 1)
	return subSaturating(c.askedAt, before)
}

// momentInAnswer is when something was true that the very answer says; it cannot have been after it.
func (c *issuerClock) momentInAnswer(stated int64) (moment int64, ok bool) {
	return c.earliest(stated), stated <= c.showed
}

// momentOf is when something was true that was heard later.
func (c *issuerClock) momentOf(stated, heardAt int64) (int64, error) {
	moment := c.earliest(stated)
	late := subSaturating(heardAt, moment)
	if late > c.latest {
		c.latest = late
	}
	if late < -driftMs || subSaturating(c.latest, late) > settlingMs {
		return 0, errClockWasSet
	}
	if moment > heardAt {
		moment = heardAt
	}
	return moment, nil
}

// isOver says whether it should be measured again.
func (c *issuerClock) isOver(now int64) bool { return subSaturating(now, c.askedAt) >= goodForMs }

// mayBeWrong says whether measuring again may help where statements are too old to be of use.
func (c *issuerClock) mayBeWrong(now int64) bool {
	return subSaturating(now, c.answeredAt) >= measuredAgainMs
}
