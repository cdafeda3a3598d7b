package relaypanel

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/relay"
)

const (
	// betweenPictures is the time between two pictures of how things are.
	betweenPictures = 500 * time.Millisecond
	// finest is the least time between two samples of a history, and coarser how much of the time
	// since the start it is otherwise. So there are 1,000 in the first 20 s, and their number grows
	// with the logarithm of the time: 13,000 in a month.
	finest  = 20 * time.Millisecond
	coarser = 1000
	// sampledReaders is how many readers of a server are in a sample.
	sampledReaders = 8
)

// Role is what left a history.
type Role string

// The roles, one for each function that runs one.
const (
	RoleServer Role = "server"
	RoleReader Role = "reader"
	RoleWriter Role = "writer"
	RoleJoin   Role = "join"
)

// Sample is what was known at one moment.
type Sample struct {
	At time.Duration `json:"at_ns"` // since the start
	// Stored counts messages: those that a server has stored, or of a writer.
	Stored uint64 `json:"stored"`
	// Delivered counts messages: those that a reader has, or the readers of a server in sum.
	Delivered uint64 `json:"delivered"`
	// Missing counts messages that were reported in gaps.
	Missing uint64 `json:"missing,omitempty"`
	// Lags are how far readers are behind: of a server's readers, the 8 that are farthest.
	Lags []Lag `json:"lags,omitempty"`
	// Pending are a writer's messages that are not known to be stored.
	Pending uint64 `json:"pending,omitempty"`
	// Served means that a client has a server. It is true for a server.
	Served bool `json:"served"`
}

// Kind is "sample".
func (Sample) Kind() string { return "sample" }

// Lag is how many messages of the log a reader has not got yet.
type Lag struct {
	Username string `json:"username"`
	Messages uint64 `json:"messages"`
}

// History is what a session leaves in a file, see Options.History. All but the samples is its first
// line.
type History struct {
	Role     Role      `json:"role"`
	Username string    `json:"username,omitempty"` // a client's
	Begun    time.Time `json:"begun"`
	PID      int       `json:"pid"` // of the process, for whoever wants to interrupt it
	Samples  []Sample  `json:"-"`
}

// Kind is "start".
func (History) Kind() string { return "start" }

// ReadHistory reads the file of Options.History. The error is the system's, such as fs.ErrNotExist,
// or says which line cannot be read.
func ReadHistory(file string) (h History, err error) {
	f, err := os.Open(file)
	if err != nil {
		return h, err
	}
	defer f.Close() // was only read
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		var line struct {
			Event string `json:"event"`
			Sample
		}
		err := json.Unmarshal(lines.Bytes(), &line)
		switch {
		case err != nil:
		case line.Event == "start":
			err = json.Unmarshal(lines.Bytes(), &h)
		case line.Event == "sample":
			h.Samples = append(h.Samples, line.Sample)
		}
		if err != nil {
			return h, fmt.Errorf("history, line %d: %w", n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return h, fmt.Errorf("history: %w", err)
	}
	return h, nil
}

// sample returns what is known now.
func (v *view) sample() Sample {
	s := Sample{At: time.Since(v.begun), Served: v.served()}
	if v.server != nil {
		stats := v.server.Stats()
		s.Stored, s.Delivered, s.Missing = stats.Stored, stats.Delivered, stats.Gone
		for _, c := range v.server.Clients() {
			if c.Role == relay.RoleReader {
				s.Lags = append(s.Lags, Lag{c.Username, c.Lag})
			}
		}
		slices.SortFunc(s.Lags, func(a, b Lag) int {
			return cmp.Or(cmp.Compare(b.Messages, a.Messages), cmp.Compare(a.Username, b.Username))
		})
		s.Lags = s.Lags[:min(len(s.Lags), sampledReaders)]
	}
	if v.reader != nil {
		stats := v.reader.Stats()
		s.Delivered, s.Missing = stats.Delivered, stats.Missing
		s.Lags = []Lag{{v.username, behind(stats)}}
	}
	if v.writer != nil {
		stats := v.writer.Stats()
		s.Stored, s.Pending = stats.Stored, stats.Pending
	}
	return s
}

// behind returns how many messages a reader knows of and has not got yet.
func behind(s relay.ReaderStats) uint64 {
	if s.Next == 0 || s.Last < s.Next {
		return 0
	}
	return s.Last - s.Next + 1
}

// flow is how many messages are stored and delivered a second.
type flow struct{ stored, delivered float64 }

// flowOf returns the flow over the time of the samples.
func flowOf(samples []Sample) flow {
	first, last := samples[0], samples[len(samples)-1]
	seconds := (last.At - first.At).Seconds()
	if seconds <= 0 {
		return flow{}
	}
	return flow{float64(last.Stored-first.Stored) / seconds, float64(last.Delivered-first.Delivered) / seconds}
}
