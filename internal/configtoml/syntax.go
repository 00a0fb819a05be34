package configtoml

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/BurntSushi/toml"

	"rekey"
)

// SyntaxError says where gitlab-runner would refuse the file and what was
// expected there. Nothing of the file is quoted but names of known keys.
type SyntaxError struct {
	Line   int // from 1
	Column int // from 1, in characters
	Reason string
}

// Error returns "line L, column C: reason".
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Reason)
}

// Unwrap makes the error one of kind invalid.
func (e *SyntaxError) Unwrap() error { return rekey.Errorf(rekey.KindInvalid, "%s", e.Error()) }

func byteOrderMark(data []byte) []byte {
	if bytes.HasPrefix(data, []byte("\xef\xbb\xbf")) {
		return data[:3]
	}
	return nil
}

func checkEncoding(data []byte) error {
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		return &SyntaxError{1, 1, "expected UTF-8, the file is UTF-16: save it again as UTF-8"}
	}
	if i := bytes.IndexByte(data, 0); i >= 0 {
		return syntaxAt(data, i, "expected text, found a NUL byte: the file is UTF-16, cut short by a crash, or not a config.toml")
	}
	return nil
}

func syntaxAt(data []byte, offset int, reason string) *SyntaxError {
	offset = min(max(offset, 0), len(data))
	start := bytes.LastIndexByte(data[:offset], '\n') + 1
	return &SyntaxError{
		Line:   bytes.Count(data[:offset], []byte("\n")) + 1,
		Column: utf8.RuneCount(bytes.TrimPrefix(data[start:offset], byteOrderMark(data))) + 1,
		Reason: reason,
	}
}

// explain turns the acceptor's error, which may quote the file, into one that
// does not. A wrong type is looked for section by section: the acceptor names
// the last section's line whichever is at fault.
func explain(err error, data []byte, places *layout) *SyntaxError {
	if !errors.As(err, new(*typeError)) {
		return sharpen(reworded(err, data), data, places)
	}
	if places.wrong != nil {
		return syntaxAt(data, places.wrong.offset, places.wrong.reason)
	}
	for i, own := range places.extents() {
		own := data[own.start:own.end]
		if _, _, err := accept(own); errors.As(err, new(*typeError)) {
			e := reworded(err, own)
			e.Line += places.sections[i].line - 1
			return e
		}
	}
	return reworded(err, data)
}

func reworded(err error, data []byte) *SyntaxError {
	var p toml.ParseError
	if errors.As(err, &p) {
		e := syntaxAt(data, len(byteOrderMark(data))+p.Position.Start, reasonFor(p.Message))
		if p.Position.Line > 0 && p.Position.Line != e.Line {
			e.Line, e.Column = p.Position.Line, 1
		}
		return e
	}
	e := &SyntaxError{Line: 1, Column: 1, Reason: reasonFor(err.Error())}
	if m := atLine.FindStringSubmatch(err.Error()); m != nil {
		e.Line, _ = strconv.Atoi(m[1])
	}
	return e
}

// sharpen takes the other parser's position, which is the nearer one, where both
// stumble over the same place.
func sharpen(e *SyntaxError, data []byte, places *layout) *SyntaxError {
	if places.failed < 0 {
		return e
	}
	other := syntaxAt(data, places.failed, e.Reason)
	if other.Line == e.Line || other.Line == e.Line-1 {
		return other
	}
	return e
}

var atLine = regexp.MustCompile(`^toml: line (\d+) `)

// reasonFor words the messages of BurntSushi/toml anew.
func reasonFor(message string) string {
	for _, r := range reasons {
		if strings.Contains(message, r.message) {
			return r.reason
		}
	}
	return "expected TOML that gitlab-runner can read"
}

var reasons = []struct{ message, reason string }{
	{"has already been defined", "expected each key and each section once: this one is given twice"},
	{"was already created", "expected one use of this name: it is a key, a section or a list of sections already"},
	{"cannot be used as an array", "expected one use of this name: it is a key or a section already"},
	{"strings cannot contain newlines", "expected the closing quote before the end of the line"},
	{`unexpected EOF; expected '"`, "expected the closing quote before the end of the file"},
	{`unexpected EOF; expected "'`, "expected the closing quote before the end of the file"},
	{"unexpected EOF; expected value", "expected a value before the end of the file"},
	{"unexpected EOF; expected key separator", "expected '=' and a value before the end of the file"},
	{"expected value but found", "expected a value: text in straight quotes, a number, true, false, a date or a list"},
	{"expected a top-level item to end", "expected nothing more on this line: is a quote doubled, or a line ending lost?"},
	{"expected '.' or '='", "expected '=' after the key"},
	{"unexpected '='", "expected a key before '='"},
	{"unexpected '.'", "expected a key before '.'"},
	{"expected '.' or ']'", "expected ']' after the section's name"},
	{"end of table array name", "expected ']]' after the section's name"},
	{"table names cannot be empty", "expected a section's name between the brackets"},
	{"bare keys cannot contain", "expected a key of letters, digits, '_' and '-', or a quoted one"},
	{"invalid escape", `expected a known escape after \ in quoted text: write \\ for a backslash`},
	{"hexadecimal digits", `expected hexadecimal digits after \x, \u or \U`},
	{"not valid UTF-8", "expected an escape for a character that exists"},
	{"invalid UTF-8", "expected UTF-8: the file has a byte of another encoding"},
	{"control characters", "expected text without control characters"},
	{"NULL bytes", "expected UTF-8, the file looks like UTF-16"},
	{"newlines not allowed within inline tables", "expected the closing '}' on the same line"},
	{"array terminator", "expected ',' or ']' in the list"},
	{"inline table terminator", "expected ',' or '}' in the table"},
	{"unexpected comma", "expected a value before ','"},
	{"out of range", "expected a number that fits"},
	{"invalid datetime", "expected a date and time such as 2006-01-02T15:04:05Z"},
	{"parsing time", "expected a date and time such as 2006-01-02T15:04:05Z"},
	{"invalid duration", `expected a duration such as "1h30m"`},
	{"nvalid integer", "expected a whole number"},
	{"nvalid float", "expected a number"},
	{"expected a digit", "expected a number"},
	{"floats must start", "expected a digit before '.'"},
	{"destination has type string", "expected text in quotes as this key's value"},
	{"destination has type integer", "expected a whole number without quotes as this key's value"},
	{"destination has type boolean", "expected true or false without quotes as this key's value"},
	{"destination has type slice", "expected a list as this key's value"},
	{"expected table", "expected a table here"},
}
