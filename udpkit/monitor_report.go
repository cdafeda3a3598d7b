package udpkit

import (
	"cmp"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/measure"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
)

// MonitorReport is what a Monitor knows: a snapshot.
type MonitorReport struct {
	At      time.Time     `json:"at"`
	Port    uint16        `json:"port"`
	Runtime time.Duration `json:"runtime_ns"`
	// Runs are ordered by address. Those that are over stay until others need their place.
	Runs []RunInfo `json:"runs"`
	// Refused are ordered by host.
	Refused []RefusedInfo `json:"refused,omitempty"`
	// Forgotten counts the runs that had to make room for others before they were silent, or that
	// there was no room to count losses for.
	Forgotten uint64 `json:"forgotten"`
	// KernelDropped counts datagrams that the socket's buffer had no room for; known on Linux only.
	// They count as missing.
	KernelDropped uint64 `json:"kernel_dropped"`
}

// Kind is its name as an event.
func (MonitorReport) Kind() string { return "report" }

// RunStatus says whether a run goes on.
type RunStatus string

// What a run can be.
const (
	RunUp     RunStatus = "up"
	RunSilent RunStatus = "silent" // nothing has come for three of its intervals, at least 1 s
	RunEnded  RunStatus = "ended"  // it has said so
)

// RunInfo is what a Monitor knows of one run of a server.
type RunInfo struct {
	// Server is where the newest message came from.
	Server netip.AddrPort `json:"server"`
	Epoch  Epoch          `json:"epoch,omitempty"`
	Status RunStatus      `json:"status"`
	// State and LastID are of the newest message, Interval is the one that the server announces.
	State    State         `json:"state"`
	LastID   uint64        `json:"last_id"`
	Interval time.Duration `json:"interval_ns,omitempty"`
	// First and Last are when the first and the newest message came.
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
	// Received counts messages, each once; Late those of them that came after they had counted as
	// missing; Duplicates those that came again, as they do by a second interface.
	Received   uint64 `json:"received"`
	Late       uint64 `json:"late"`
	Duplicates uint64 `json:"duplicates"`
	// Gaps counts ranges of ids that were left out, Missed the ids that have not come since.
	Gaps   uint64 `json:"gaps"`
	Missed uint64 `json:"missed"`
	// Restarts counts the runs of the same host that were over before this one began, as far as
	// they are not forgotten; of a server without epoch, how often its ids began anew.
	Restarts uint64 `json:"restarts"`
	// Rate is how many messages come in a second, over the last 10 to 20 s, or two messages if that
	// is longer; 0 if one has come, or the run is over.
	Rate float64 `json:"rate"`
	// Jitter is how much the time under way varies from one message to the next, smoothed as in RFC
	// 3550, 6.4.1. A server's clock that is set by more than an hour does not count.
	Jitter time.Duration `json:"jitter_ns"`
}

// RefusedInfo counts the datagrams of a host that were refused for a reason. Of more than 64 hosts
// and reasons, those of a reason are counted as one, without the host.
type RefusedInfo struct {
	From   netip.Addr `json:"from,omitzero"`
	Reason string     `json:"reason"` // a short sentence without its end, for people
	Count  uint64     `json:"count"`
	Last   time.Time  `json:"last"`
}

// tally is what a Monitor counts of a run.
type tally struct {
	state                                      State
	received, late, duplicates, gaps, restarts uint64
	rate                                       measure.Rate
	jitter                                     measure.Jitter // of the time under way, by two clocks
}

func (t *tally) info(r *run) RunInfo {
	info := RunInfo{
		Server: r.from, Epoch: r.key.epoch, Status: RunUp, State: t.state, LastID: r.lastID(), Interval: r.interval, First: r.first, Last: r.last,
		Received: t.received, Late: t.late, Duplicates: t.duplicates, Gaps: t.gaps, Missed: r.missing(), Restarts: t.restarts, Jitter: t.jitter.Mean(),
	}
	switch {
	case r.ended:
		info.Status = RunEnded
	case r.over:
		info.Status = RunSilent
	default:
		info.Rate = t.rate.PerSecond()
	}
	return info
}

// maxRefusedHosts bounds the hosts and reasons that are told apart.
const maxRefusedHosts = 64

// refusedTallies count refused datagrams. Reasons are errors that were made once.
type refusedTallies map[refusedBy]*RefusedInfo

type refusedBy struct {
	from   netip.Addr
	reason error
}

func (t refusedTallies) note(d Datagram, reason error) {
	by := refusedBy{d.Source.Addr(), reason}
	one := t[by]
	if one == nil && len(t) >= maxRefusedHosts {
		by.from = netip.Addr{}
		one = t[by]
	}
	if one == nil {
		one = &RefusedInfo{From: by.from, Reason: reason.Error()}
		if m := service.Malformed(""); errors.As(reason, &m) {
			one.Reason = string(m)
		}
		t[by] = one
	}
	one.Count++
	one.Last = d.Received
}

func (t refusedTallies) list() []RefusedInfo {
	list := make([]RefusedInfo, 0, len(t))
	for _, one := range t {
		list = append(list, *one)
	}
	slices.SortFunc(list, func(a, b RefusedInfo) int {
		return cmp.Or(a.From.Compare(b.From), strings.Compare(a.Reason, b.Reason))
	})
	return list
}
