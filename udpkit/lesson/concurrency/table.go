package concurrency

import (
	"fmt"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/format"
	"github.com/gonb-labs/udp-notebooks/udpkit/lesson/exercise"
)

// Row is one row of the comparison of TCP and UDP.
type Row struct {
	Feature, TCP, UDP string
	How               How
}

// How says where a row's facts are from.
type How string

// Where facts are from.
const (
	Captured  How = "captured"
	Measured  How = "measured"
	Shown     How = "shown above"
	Explained How = "explained"
)

// Table shows TCP beside UDP, with the figures of this run wherever the experiments have measured
// them, from what they added to file.
func Table(file string) error {
	r, err := Load(file)
	if err != nil {
		return err
	}
	now := state{Rows(r), ""}
	return exercise.NewShow(page.Lookup("rows"), plain, now).End(now)
}

// Rows returns the rows of the table for these results. What was not measured is explained.
func Rows(r Results) []Row {
	return []Row{
		connection(r.Conversation),
		setup(r.Conversation),
		{"Data transfer", "a stream of bytes: where one write ends and the next begins is not kept", "datagrams: one write, one read", Shown},
		headers(r.Conversation),
		overhead(r.Conversation),
		losses(r.Weather),
		reliability(r.Weather),
		errorChecks(r.Weather),
		ordering(r.Weather),
		flowControl(r.Flow),
		congestion(r.Weather),
		speed(r.Speed),
		{"Good for", "files, web pages, mail: all of it, in order, and better late than never", "voice, games, names, status: the newest, now, and better never than late", Explained},
		{"Used by", "HTTP/1 and 2, SSH, FTP, SMTP", "DNS, VoIP, TFTP, games; QUIC, and HTTP/3 on it, rebuild on UDP what they need of TCP", Explained},
	}
}

func connection(r *ConversationResult) Row {
	row := Row{"Connection", "first a connection, which both ends remember and close", "none: each datagram stands for itself", Explained}
	if r != nil && r.TCP != nil && r.UDP != nil {
		row.TCP += fmt.Sprintf(": %d packets for one question and its answer", len(r.TCP.Packets))
		row.UDP += fmt.Sprintf(": %d packets", len(r.UDP.Packets))
		row.How = Captured
	}
	return row
}

func setup(r *ConversationResult) Row {
	row := Row{"Connection setup", "a handshake (SYN, SYN ACK, ACK): one round trip before the question", "none: the question is the first packet", Explained}
	if r != nil && r.TCP != nil && r.UDP != nil {
		row.TCP += fmt.Sprintf("; answered after %.1f round trips", r.RoundTrips(r.TCP))
		row.UDP += fmt.Sprintf("; answered after %.1f round trips", r.RoundTrips(r.UDP))
		row.How = Captured
	}
	return row
}

func headers(r *ConversationResult) Row {
	row := Row{"Header size", fmt.Sprintf("%d bytes and options (RFC 9293)", tcpHeader), fmt.Sprintf("%d bytes (RFC 768)", udpHeader), Explained}
	if r != nil && r.TCP != nil && r.UDP != nil {
		low, high := headerSizes(r.TCP)
		row.TCP += fmt.Sprintf(": here %d to %d", low, high)
		row.How = Captured
	}
	return row
}

// headerSizes returns the shortest and the longest header.
func headerSizes(e *Exchange) (low, high int) {
	for i, p := range e.Packets {
		if i == 0 {
			low = p.Header
		}
		low, high = min(low, p.Header), max(high, p.Header)
	}
	return low, high
}

func overhead(r *ConversationResult) Row {
	row := Row{"Overhead", "setup, acknowledgements, teardown", "none", Explained}
	if r != nil && r.TCP != nil && r.UDP != nil {
		text := func(e *Exchange) string {
			all, data := e.Bytes()
			return fmt.Sprintf("%d bytes on the wire for %d bytes of data", all, data)
		}
		row.TCP, row.UDP, row.How = text(r.TCP), text(r.UDP), Captured
	}
	return row
}

// both returns the case if it has both transfers.
func both(r *WeatherResult, name string) *WeatherCase {
	if c := r.Case(name); c != nil && c.TCP != nil && c.UDP != nil {
		return c
	}
	return nil
}

func losses(r *WeatherResult) Row {
	row := Row{"Packet loss", "what is lost is sent again; the program sees a delay", "what is lost is lost; nobody says so", Explained}
	if c := both(r, Loss); c != nil {
		row.TCP = fmt.Sprintf("%d of %d packets lost on the way, sent again; worst delay %s", c.TCP.Road.Lost, c.TCP.Road.Entered, format.Short(c.TCP.Worst()))
		row.UDP = fmt.Sprintf("%d of %d packets lost on the way, and nobody says so; worst delay of the others %s", c.UDP.Road.Lost, c.UDP.Road.Entered, format.Short(c.UDP.Worst()))
		row.How = Measured
	} else if c := r.Case(Loss); c != nil && c.UDP != nil {
		row.UDP = fmt.Sprintf("%d of %d messages lost on the way (measured); nobody says so", c.UDP.Road.Lost, c.UDP.Road.Entered)
	}
	return row
}

func reliability(r *WeatherResult) Row {
	row := Row{"Reliability", "everything, or an error", "as good as the network", Explained}
	if c := both(r, Loss); c != nil {
		row.TCP += fmt.Sprintf(": %d of %d messages with %s loss", c.TCP.Delivered, len(c.TCP.Sent), percent(c.Loss))
		row.UDP += fmt.Sprintf(": %d of %d messages", c.UDP.Delivered, len(c.UDP.Sent))
		row.How = Measured
	}
	return row
}

func errorChecks(r *WeatherResult) Row {
	row := Row{"Error checking", "a checksum, and recovery", "the same checksum, no recovery", Explained}
	if c := both(r, Damage); c != nil {
		text := func(t *Transfer) string {
			return fmt.Sprintf(": %d packets damaged, %d messages delivered wrong, %d missing", t.Road.Damaged, t.Damaged, len(t.Sent)-t.Delivered)
		}
		row.TCP += text(c.TCP)
		row.UDP += text(c.UDP)
		row.How = Measured
	}
	return row
}

func ordering(r *WeatherResult) Row {
	row := Row{"Ordering", "always as sent, each once", "as they come, perhaps twice", Explained}
	detours, echoes := both(r, Detours), both(r, Echoes)
	if detours != nil && echoes != nil {
		row.TCP += fmt.Sprintf(": %d out of order, %d twice", detours.TCP.Disorder, echoes.TCP.Twice)
		row.UDP += fmt.Sprintf(": %d out of order, %d twice", detours.UDP.Disorder, echoes.UDP.Twice)
		row.How = Measured
	}
	return row
}

func flowControl(r *FlowResult) Row {
	row := Row{"Flow control", "the sender waits for a receiver that does not read", "none", Explained}
	if r != nil && len(r.Ends) == len(protocols) {
		tcp, udp := r.Ends[0], r.Ends[1]
		row.TCP += fmt.Sprintf(": stopped after %s, of which %s arrived", bytesText(tcp.Accepted), bytesText(tcp.Arrived))
		row.UDP += fmt.Sprintf(": %s sent, %s arrived", bytesText(udp.Accepted), bytesText(udp.Arrived))
		row.How = Measured
	}
	return row
}

func congestion(r *WeatherResult) Row {
	row := Row{"Congestion control", "slows down when the network is full", "none: that is the program's duty (RFC 8085)", Explained}
	if c := both(r, Narrow); c != nil {
		text := func(t *Transfer) string {
			return fmt.Sprintf(": %s of the packets dropped, %d of %d messages delivered in %s",
				percent(float64(t.Road.Dropped)/float64(max(1, t.Road.Entered))), t.Delivered, len(t.Sent), format.Short(t.Took()))
		}
		row.TCP += text(c.TCP)
		row.UDP += text(c.UDP)
		row.How = Measured
	}
	return row
}

func speed(r *SpeedResult) Row {
	row := Row{"Speed", "a handshake later, then about as quick", "at once", Explained}
	if r == nil || len(r.Rows) != 3 {
		return row
	}
	text := func(s Speed) string {
		return fmt.Sprintf("first answer after %s, the next after %s; %s in %d-byte writes", format.Short(s.P50First()), format.Short(s.P50Next()), rateText(s.Rate()), s.Piece)
	}
	row.TCP, row.UDP, row.How = text(r.Rows[0]), text(r.Rows[1]), Measured
	if long := r.Rows[2]; long.Rate() > 0 {
		row.TCP += fmt.Sprintf(", %s in long ones", rateText(long.Rate()))
	}
	if lost := r.Rows[1].Lost(); lost > 0 {
		row.UDP += fmt.Sprintf(", %s of it lost", percent(lost))
	}
	return row
}
