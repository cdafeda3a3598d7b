package udpkit

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"iter"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
)

// Journal writes events as JSON lines: one object a line whose first field, "event", is the kind.
// Its Write appends an event; after an error it writes no more and returns the same error. It is
// safe for concurrent use.
type Journal = service.Journal

// NewJournal returns a journal that writes each event to w at once.
func NewJournal(w io.Writer) *Journal { return service.NewJournal(w) }

// ReadJournal reads what a Journal wrote. Events of an unknown kind are skipped; a line that cannot
// be read ends the sequence with an error that names it. Whether a summary is the server's or the
// client's is told by its fields.
func ReadJournal(r io.Reader) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		lines := bufio.NewScanner(r)
		for n := 1; lines.Scan(); n++ {
			e, err := readEvent(lines.Bytes())
			if err != nil {
				yield(nil, fmt.Errorf("journal, line %d: %w", n, err))
				return
			}
			if e != nil && !yield(e, nil) {
				return
			}
		}
		if err := lines.Err(); err != nil {
			yield(nil, fmt.Errorf("journal: %w", err))
		}
	}
}

func readEvent(line []byte) (Event, error) {
	var head struct {
		Event string  `json:"event"`
		Sent  *uint64 `json:"sent"`
	}
	if err := json.Unmarshal(line, &head); err != nil {
		return nil, err
	}
	switch head.Event {
	case "start":
		return unmarshal[StartEvent](line)
	case "sent":
		return unmarshal[SentEvent](line)
	case "ack":
		return unmarshal[AckEvent](line)
	case "command":
		return unmarshal[CommandEvent](line)
	case "message":
		return unmarshal[MessageEvent](line)
	case "gap":
		return unmarshal[GapEvent](line)
	case "timeout":
		return unmarshal[TimeoutEvent](line)
	case "end":
		return unmarshal[EndEvent](line)
	case "forgotten":
		return unmarshal[ForgottenEvent](line)
	case "refused":
		return unmarshal[RefusedEvent](line)
	case "error":
		return unmarshal[ErrorEvent](line)
	case "summary":
		if head.Sent != nil {
			return unmarshal[ServerSummary](line)
		}
		return unmarshal[ClientSummary](line)
	}
	return nil, nil
}

func unmarshal[E Event](line []byte) (Event, error) {
	var e E
	err := json.Unmarshal(line, &e)
	return e, err
}
