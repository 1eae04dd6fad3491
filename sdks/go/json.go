package hallpass

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// The package encoding/json takes names in any case, the last of two members of one name, and bytes that are no text.
// Two readers of one token must not see two things, so members are read here.

var errJSON = errors.New("not the JSON that was expected")

// object is a JSON object whose members have not been read.
type object map[string]json.RawMessage

// parseObject reads the members of one JSON object (RFC 8259) out of UTF-8. Of the names in known, none may be there twice.
func parseObject(text []byte, known map[string]bool) (object, error) {
	if !utf8.Valid(text) || !json.Valid(text) {
		return nil, errJSON
	}
	return members(text, known)
}

// members reads an object out of JSON that is valid.
func members(text []byte, known map[string]bool) (object, error) {
	at := space(text, 0)
	if text[at] != '{' {
		return nil, errJSON
	}
	object := object{}
	for at = space(text, at+1); text[at] != '}'; at = space(text, at+1) {
		if text[at] == ',' {
			at = space(text, at+1)
		}
		end := skip(text, at)
		name, err := unquote(text[at:end])
		if err != nil {
			return nil, err
		}
		start := space(text, space(text, end)+1)
		end = skip(text, start)
		if known[name] {
			if _, twice := object[name]; twice {
				return nil, errJSON
			}
			object[name] = text[start:end]
		}
		at = end - 1
	}
	return object, nil
}

// elements reads an array out of JSON that is valid.
func elements(text []byte, take func(json.RawMessage) error) error {
	at := space(text, 0)
	if text[at] != '[' {
		return errJSON
	}
	for at = space(text, at+1); text[at] != ']'; at = space(text, at+1) {
		if text[at] == ',' {
			at = space(text, at+1)
		}
		end := skip(text, at)
		if err := take(text[at:end]); err != nil {
			return err
		}
		at = end - 1
	}
	return nil
}

func space(text []byte, at int) int {
	for at < len(text) && bytes.IndexByte([]byte(" \t\r\n"), text[at]) >= 0 {
		at++
	}
	return at
}

// skip finds the end of the value that begins there, in JSON that is valid.
func skip(text []byte, at int) int {
	switch text[at] {
	case '"':
		return skipString(text, at)
	case '{', '[':
		for depth := 0; ; at++ {
			switch text[at] {
			case '"':
				at = skipString(text, at) - 1
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return at + 1
				}
			}
		}
	}
	for at < len(text) && bytes.IndexByte([]byte(" \t\r\n,]}"), text[at]) < 0 {
		at++
	}
	return at
}

func skipString(text []byte, at int) int {
	for at++; text[at] != '"'; at++ {
		if text[at] == '\\' {
			at++
		}
	}
	return at + 1
}

var escapes = map[byte]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// unquote reads a string out of JSON that is valid. A surrogate without its other half is no text.
func unquote(raw json.RawMessage) (string, error) {
	if len(raw) == 0 || raw[0] != '"' {
		return "", errJSON
	}
	raw = raw[1 : len(raw)-1]
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw), nil
	}
	text := make([]byte, 0, len(raw))
	for at := 0; at < len(raw); at++ {
		if raw[at] != '\\' {
			text = append(text, raw[at])
			continue
		}
		if at++; raw[at] != 'u' {
			text = append(text, escapes[raw[at]])
			continue
		}
		letter := unit(raw[at+1:])
		at += 4
		if utf16.IsSurrogate(letter) {
			if at+6 >= len(raw) || raw[at+1] != '\\' || raw[at+2] != 'u' {
				return "", errJSON
			}
			if letter = utf16.DecodeRune(letter, unit(raw[at+3:])); letter == utf8.RuneError {
				return "", errJSON
			}
			at += 6
		}
		text = utf8.AppendRune(text, letter)
	}
	return string(text), nil
}

func unit(digits []byte) rune {
	number, err := strconv.ParseUint(string(digits[:4]), 16, 16)
	if err != nil {
		return utf8.RuneError
	}
	return rune(number)
}

func (o object) has(name string) bool {
	_, found := o[name]
	return found
}

func (o object) isNull(name string) bool {
	return string(o[name]) == "null"
}

// text reads a string that has to be there.
func (o object) text(name string) (string, error) {
	return unquote(o[name])
}

// optionalText reads a string that may be absent, but not null.
func (o object) optionalText(name string) (*string, error) {
	if !o.has(name) {
		return nil, nil
	}
	text, err := o.text(name)
	return &text, err
}

// nullableText reads a string that may be absent or null.
func (o object) nullableText(name string) (*string, error) {
	if o.isNull(name) {
		return nil, nil
	}
	return o.optionalText(name)
}

// signed reads a whole number of 64 bits with a sign that has to be there.
func (o object) signed(name string) (int64, error) {
	raw := string(o[name])
	if raw == "-0" {
		return 0, errJSON
	}
	number, err := strconv.ParseInt(raw, 10, 64)
	if err != nil {
		return 0, errJSON
	}
	return number, nil
}

func (o object) optionalSigned(name string) (*int64, error) {
	if !o.has(name) {
		return nil, nil
	}
	number, err := o.signed(name)
	return &number, err
}

// unsigned reads a whole number of 64 bits without a sign that has to be there.
func (o object) unsigned(name string) (uint64, error) {
	number, err := strconv.ParseUint(string(o[name]), 10, 64)
	if err != nil {
		return 0, errJSON
	}
	return number, nil
}

func (o object) optionalBool(name string) (*bool, error) {
	if !o.has(name) {
		return nil, nil
	}
	value := string(o[name]) == "true"
	if !value && string(o[name]) != "false" {
		return nil, errJSON
	}
	return &value, nil
}

// texts reads an array of strings that has to be there.
func (o object) texts(name string) ([]string, error) {
	if !o.has(name) {
		return nil, errJSON
	}
	texts := []string{}
	err := elements(o[name], func(raw json.RawMessage) error {
		text, err := unquote(raw)
		texts = append(texts, text)
		return err
	})
	return texts, err
}

// addSaturating is a + b, or the number nearest to it.
func addSaturating(a, b int64) int64 {
	switch sum := a + b; {
	case b > 0 && sum < a:
		return math.MaxInt64
	case b < 0 && sum > a:
		return math.MinInt64
	default:
		return sum
	}
}

// subSaturating is a - b, or the number nearest to it.
func subSaturating(a, b int64) int64 {
	switch difference := a - b; {
	case b > 0 && difference > a:
		return math.MinInt64
	case b < 0 && difference < a:
		return math.MaxInt64
	default:
		return difference
	}
}

func names(list ...string) map[string]bool {
	set := make(map[string]bool, len(list))
	for _, name := range list {
		set[name] = true
	}
	return set
}
