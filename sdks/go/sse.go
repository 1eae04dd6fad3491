package hallpass

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// eventMaxBytes is what one event may take: the issuer's take a hundred.
const eventMaxBytes = 64 * 1024

// event is one of a stream of server-sent events (WHATWG HTML 9.2).
type event struct {
	name, data string
	id         *string
}

var (
	errEventTooLong = errors.New("an event is over 64 KiB")
	errNotUTF8      = errors.New("an event is not UTF-8")
)

// sseParser takes bytes as they come and gives events as they end.
type sseParser struct {
	line []byte
	// Whether the last byte was a CR: an LF behind it belongs to the same end of line.
	afterCR bool
	event   event
	// Whether the event has had a field, and data.
	begun, hasData bool
	bytes          int
}

// read answers the events that end in these bytes. After an error the parser is of no use.
func (p *sseParser) read(chunk []byte) (events []event, err error) {
	for _, letter := range chunk {
		afterCR := p.afterCR
		p.afterCR = letter == '\r'
		switch {
		case letter == '\n' && afterCR:
		case letter == '\n' || letter == '\r':
			if events, err = p.endLine(events); err != nil {
				return events, err
			}
		default:
			if p.bytes++; p.bytes > eventMaxBytes {
				return events, errEventTooLong
			}
			p.line = append(p.line, letter)
		}
	}
	return events, nil
}

func (p *sseParser) endLine(events []event) ([]event, error) {
	if !utf8.Valid(p.line) {
		return events, errNotUTF8
	}
	line := string(p.line)
	p.line = p.line[:0]
	switch {
	case line == "":
		if p.begun {
			events = append(events, p.event)
		}
		p.event, p.begun, p.hasData, p.bytes = event{}, false, false, 0
		return events, nil
	case line[0] == ':':
		// Some servers send comments to keep a connection open. The limit is the event's.
		p.bytes -= len(line)
		return events, nil
	}
	field, value, _ := strings.Cut(line, ":")
	p.take(field, strings.TrimPrefix(value, " "))
	return events, nil
}

func (p *sseParser) take(field, value string) {
	switch {
	case field == "event":
		p.event.name = value
	case field == "data":
		if p.hasData {
			p.event.data += "\n"
		}
		p.hasData = true
		p.event.data += value
	case field == "id" && !strings.ContainsRune(value, 0):
		p.event.id = &value
	default:
		return
	}
	p.begun = true
}
