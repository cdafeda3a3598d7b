package console

import (
	"fmt"
	"io"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
)

// JSON shows events as JSON lines. What would steer a terminal is escaped in them.
type JSON struct{ journal *service.Journal }

// NewJSON returns a JSON that writes each event to out at once.
func NewJSON(out io.Writer) *JSON { return &JSON{service.NewJournal(escaper{out})} }

// Event writes an event.
func (j *JSON) Event(e interface{ Kind() string }) error { return j.journal.Write(e) }

// Note writes a remark of the program itself, as an event.
func (j *JSON) Note(text string) error { return j.journal.Write(noteEvent{text, time.Now()}) }

type noteEvent struct {
	Text string    `json:"text"`
	At   time.Time `json:"at"`
}

func (noteEvent) Kind() string { return "note" }

// escaper writes what is not ASCII and not printable as \u escapes, which mean the same in JSON:
// encoding/json leaves such characters as they are, and they are in strings only.
type escaper struct{ out io.Writer }

func (e escaper) Write(line []byte) (int, error) {
	escaped := make([]byte, 0, len(line))
	for _, r := range string(line) {
		switch high, low := utf16.EncodeRune(r); {
		case r < 0x7f || unicode.IsPrint(r):
			escaped = utf8.AppendRune(escaped, r)
		case high != utf8.RuneError:
			escaped = fmt.Appendf(escaped, `\u%04x\u%04x`, high, low)
		default:
			escaped = fmt.Appendf(escaped, `\u%04x`, r)
		}
	}
	if _, err := e.out.Write(escaped); err != nil {
		return 0, err
	}
	return len(line), nil
}
