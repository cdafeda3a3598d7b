package udpkit

import (
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/udp"
	"github.com/gonb-labs/udp-notebooks/udpkit/key"
)

// ReadBufferSize is the receive buffer in bytes that a Client and a Server ask the system for: for
// what comes while they are busy, such as the acknowledgements of all clients at once. 4 MiB took
// 10,000 small datagrams, the default of Linux 256. The system may grant less; what it granted is
// in StartEvent and in the summaries.
const ReadBufferSize = 4 << 20

// grantedReadBuffer returns 0 if the system does not tell.
func grantedReadBuffer(conn *net.UDPConn) int {
	size, err := udp.ReadBuffer(conn)
	if err != nil {
		return 0
	}
	return size
}

// Distribution describes a set of durations. Count, Min, Mean and Max are of all of them, the
// percentiles of the newest 1,024. All are 0 for an empty set.
type Distribution struct {
	Count uint64        `json:"count"`
	Min   time.Duration `json:"min_ns"`
	Mean  time.Duration `json:"mean_ns"`
	P50   time.Duration `json:"p50_ns"`
	P90   time.Duration `json:"p90_ns"`
	P99   time.Duration `json:"p99_ns"`
	Max   time.Duration `json:"max_ns"`
}

// samples collects durations in bounded memory.
type samples struct {
	count    uint64
	sum      time.Duration
	min, max time.Duration
	newest   [1024]time.Duration
}

func (s *samples) add(d time.Duration) {
	if s.count == 0 || d < s.min {
		s.min = d
	}
	if s.count == 0 || d > s.max {
		s.max = d
	}
	s.newest[s.count%uint64(len(s.newest))] = d
	s.sum += d
	s.count++
}

func (s *samples) distribution() Distribution {
	if s.count == 0 {
		return Distribution{}
	}
	sorted := slices.Clone(s.newest[:min(s.count, uint64(len(s.newest)))])
	slices.Sort(sorted)
	// The nearest-rank percentile.
	rank := func(percent int) time.Duration { return sorted[(len(sorted)*percent+99)/100-1] }
	return Distribution{
		Count: s.count,
		Min:   s.min,
		Mean:  s.sum / time.Duration(s.count),
		P50:   rank(50),
		P90:   rank(90),
		P99:   rank(99),
		Max:   s.max,
	}
}

// ClientSummary is a client's statistics: a snapshot while it runs, and the last event when it
// ends.
type ClientSummary struct {
	ClientID string `json:"client_id"`
	// Received counts messages, each once; Late those of them that came after they had been
	// reported missing.
	Received uint64 `json:"received"`
	Late     uint64 `json:"late"`
	// Repaired counts those that were missing and came before they were reported as such, mostly
	// as the client had asked for them; Questions how often it asked.
	Repaired  uint64 `json:"repaired"`
	Questions uint64 `json:"questions"`
	// Duplicates counts messages that came again and were dropped.
	Duplicates uint64 `json:"duplicates"`
	// Gaps counts the reported gaps, Missed the ids that have not come, in gaps that were not taken
	// back, see GapEvent, or awaited; at most MaxMessageID.
	Gaps   uint64 `json:"gaps"`
	Missed uint64 `json:"missed"`
	// Malformed counts datagrams that are neither messages nor a time that was asked for, Truncated
	// those that were longer than any message.
	Malformed uint64 `json:"malformed"`
	Truncated uint64 `json:"truncated"`
	// Untrusted counts datagrams that were not sent by a holder of ClientConfig.Key, or long ago.
	Untrusted key.Refused `json:"untrusted,omitzero"`
	// Dropped counts datagrams that the receiver's queue had no room for.
	Dropped uint64 `json:"dropped"`
	// KernelDropped counts datagrams that the socket's buffer had no room for; known on Linux only.
	KernelDropped uint64 `json:"kernel_dropped"`
	// ReadBuffer is that buffer's size in bytes as the system granted it, see ReadBufferSize; 0 if
	// it does not tell.
	ReadBuffer int `json:"read_buffer"`
	// Timeouts counts the silences of servers' runs that were longer than ClientConfig.Timeout.
	Timeouts uint64 `json:"timeouts"`
	// Acknowledged counts acknowledgements that were sent, AckErrors those that could not be, or
	// would have gone to a broadcast, multicast or unspecified address or port 0, which no server
	// has.
	Acknowledged uint64 `json:"acknowledged"`
	AckErrors    uint64 `json:"ack_errors"`
	// Servers counts the runs of servers that were heard, Forgotten those of them that had to make
	// room for others before they were silent, see ForgottenEvent.
	Servers   uint64 `json:"servers"`
	Forgotten uint64 `json:"forgotten"`
	// Latency is of MessageEvent.Latency, of a server that tells the time only once it has, unless
	// NoAck keeps the client from asking. Interval is of the time between two messages of one
	// server.
	Latency  Distribution `json:"latency"`
	Interval Distribution `json:"interval"`
	// Runtime is how long the client has run.
	Runtime time.Duration `json:"runtime_ns"`
}

// ServerSummary is a server's statistics: a snapshot while it runs, and the last event when it
// ends.
type ServerSummary struct {
	// Sent counts messages, SendErrors the addresses that one of them could not be sent to, each
	// time.
	Sent       uint64 `json:"sent"`
	SendErrors uint64 `json:"send_errors"`
	// Acks counts acknowledgements, each client and message once; UnprovedAcks likewise those
	// without the epoch, which somebody can make up who has read nothing; DuplicateAcks those that
	// came again.
	Acks          uint64 `json:"acks"`
	UnprovedAcks  uint64 `json:"unproved_acks"`
	DuplicateAcks uint64 `json:"duplicate_acks"`
	// Questions counts what clients have asked for messages that they miss, Repairs the messages
	// that were sent again: to the client that asked, or to all if several did.
	Questions uint64 `json:"questions"`
	Repairs   uint64 `json:"repairs"`
	// NotRepaired counts those that were not, as 500 had been sent again within a second.
	NotRepaired uint64 `json:"not_repaired"`
	// Times counts the acknowledgements that the time by the server's clock was told for, NotTold
	// those that asked for it in vain, as 100 of their host or 1,000 in all had been told it within
	// a second, or nobody can be told at their address, or in as few bytes as they sent,
	// or this machine's clock is before 1970.
	Times   uint64 `json:"times"`
	NotTold uint64 `json:"not_told"`
	// Commands counts what holders of ServerConfig.Key have told the server to do, or asked, see
	// [Control]; each change once.
	Commands uint64 `json:"commands,omitempty"`
	// RefusedAcks counts acknowledgements of messages that were not sent by this run or too long
	// ago, those of new clients when the table was full, questions of another run or too many, and
	// commands for another run.
	RefusedAcks uint64 `json:"refused_acks"`
	// Malformed counts datagrams that are not acknowledgements.
	Malformed uint64 `json:"malformed"`
	// Untrusted counts datagrams that were not sent by a holder of ServerConfig.Key, or came
	// before.
	Untrusted key.Refused `json:"untrusted,omitzero"`
	// KernelDropped counts datagrams that the socket's buffer had no room for; known on Linux only.
	KernelDropped uint64 `json:"kernel_dropped"`
	// ReadBuffer is that buffer's size in bytes as the system granted it, see ReadBufferSize; 0 if
	// it does not tell.
	ReadBuffer int `json:"read_buffer"`
	// Clients counts the clients that are known.
	Clients int `json:"clients"`
	// EventsDropped counts events that ServerConfig.OnEvent was too slow for.
	EventsDropped uint64 `json:"events_dropped"`
	// RTT is of AckEvent.RTT, of acknowledgements with the epoch.
	RTT Distribution `json:"rtt"`
	// Runtime is how long the server has run.
	Runtime time.Duration `json:"runtime_ns"`
}

// ClientInfo is what a server knows of one client.
type ClientInfo struct {
	ID   string
	Addr netip.AddrPort
	// Proved reports whether its acknowledgements have the epoch. Those of the original documents'
	// clients have not: somebody can make them up who has read nothing.
	Proved   bool
	Acks     uint64        // messages that it has acknowledged
	LastID   uint64        // the newest of them
	LastAck  time.Time     // when that acknowledgement came
	RTT      time.Duration // of the last acknowledgement
	MeanRTT  time.Duration
	Expected uint64 // messages since its first one that it had time to acknowledge
}

// Loss returns the part of the expected messages that the client has not acknowledged, from 0 to 1;
// 0 for a client that proves nothing.
func (c ClientInfo) Loss() float64 {
	if !c.Proved || c.Expected == 0 || c.Acks >= c.Expected {
		return 0
	}
	return 1 - float64(c.Acks)/float64(c.Expected)
}
