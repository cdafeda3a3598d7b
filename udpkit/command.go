package udpkit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// The verbs of commands.
const (
	verbStatus   = "status"
	verbState    = "state"
	verbInterval = "interval"
	verbClients  = "clients"
	verbStop     = "stop"
)

// auto is the argument of the verb state that goes back to the cycle.
const auto = "auto"

// command is what a holder of the key tells a server. It has the length of a question, for the same
// reason.
type command struct {
	nonce          Epoch // random, the same when it is sent again
	epoch          Epoch // the server's; 0 for whichever, which may only ask for the status
	verb, argument string
}

// The text of a command: "Command <nonce> epoch <epoch> <verb> [argument]" and spaces.
const commandPrefix = "Command "

// append appends the command, longer by overhead when it is sent.
func (c command) append(dst []byte, overhead int) []byte {
	start := len(dst)
	dst = c.nonce.append(append(dst, commandPrefix...))
	dst = c.epoch.append(append(dst, ackEpoch...))
	dst = append(append(dst, ' '), c.verb...)
	if c.argument != "" {
		dst = append(append(dst, ' '), c.argument...)
	}
	return append(dst, bytes.Repeat([]byte(" "), max(0, start+questionSize-overhead-len(dst)))...)
}

// parseCommand reads what append writes, from a datagram of that size; ok is false for anything
// else.
func parseCommand(b []byte, size int) (c command, ok bool) {
	rest, ok := bytes.CutPrefix(b, []byte(commandPrefix))
	if !ok || size != questionSize {
		return c, false
	}
	nonce, rest, ok := bytes.Cut(bytes.TrimRight(rest, " "), []byte(ackEpoch))
	if !ok {
		return c, false
	}
	epoch, rest, _ := bytes.Cut(rest, []byte(" "))
	if c.nonce, ok = parseEpoch(nonce); !ok {
		return c, false
	}
	if c.epoch, ok = parseEpoch(epoch); !ok {
		return c, false
	}
	c.verb, c.argument, _ = strings.Cut(string(rest), " ")
	return c, c.verb != ""
}

// ControlStatus is what a server says of itself when it is asked.
type ControlStatus struct {
	// Epoch names its run.
	Epoch Epoch `json:"epoch"`
	// State is what its next message says if it was set by hand, else what the last one said.
	State  State `json:"state"`
	ByHand bool  `json:"by_hand"`
	// Interval is the time between two messages.
	Interval time.Duration `json:"interval_ns"`
	// LastID is the id of the last message.
	LastID uint64 `json:"last_id"`
	// Clients counts the clients that it knows.
	Clients int `json:"clients"`
	// Runtime is how long it has run.
	Runtime time.Duration `json:"runtime_ns"`
}

// ControlClient is what a server says of one of its clients, see [ClientInfo].
type ControlClient struct {
	ID     string         `json:"id"`
	Addr   netip.AddrPort `json:"addr"`
	LastID uint64         `json:"last_id"`
	Loss   float64        `json:"loss"` // from 0 to 1
	RTT    time.Duration  `json:"rtt_ns"`
}

// reply is what a server answers to a command: the text "Reply <nonce> " and this as JSON.
type reply struct {
	Error  string            `json:"error,omitempty"`
	Status *ControlStatus    `json:"status,omitempty"`
	Pages  int               `json:"pages,omitempty"`   // of the list of clients
	Page   []json.RawMessage `json:"clients,omitempty"` // one of them: ControlClients
}

const replyPrefix = "Reply "

// append appends the reply to a command.
func (r reply) append(dst []byte, nonce Epoch) []byte {
	dst = append(nonce.append(append(dst, replyPrefix...)), ' ')
	return append(dst, compactJSON(r)...)
}

// parseReply reads what append writes; ok is false for anything else.
func parseReply(b []byte, nonce Epoch) (r reply, ok bool) {
	text, ok := bytes.CutPrefix(b, append(nonce.append([]byte(replyPrefix)), ' '))
	return r, ok && json.Unmarshal(text, &r) == nil
}

// compactJSON returns a value without the escapes of HTML.
func compactJSON(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil { // it does not happen: there are no values but JSON's
		return nil
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// pagesOf makes pages of a list of clients, each of which has room for that many bytes.
func pagesOf(clients []ClientInfo, room int) (pages [][]json.RawMessage) {
	left := 0
	for _, c := range clients {
		one := compactJSON(ControlClient{ID: c.ID, Addr: c.Addr, LastID: c.LastID, Loss: c.Loss(), RTT: c.RTT})
		if left -= len(one) + len(","); left < 0 {
			pages, left = append(pages, nil), room-len(one)-len(",")
		}
		pages[len(pages)-1] = append(pages[len(pages)-1], one)
	}
	return pages
}

// pageArgument is the argument of the verb clients for a page after the first: its number, and the
// nonce of the command that has asked for the first.
func pageArgument(page int, list Epoch) string { return fmt.Sprintf("%d %v", page, list) }

// parsePage reads what pageArgument writes; "" is the first page of a new list.
func parsePage(text string) (page int, list Epoch, ok bool) {
	if text == "" {
		return 1, 0, true
	}
	number, nonce, _ := strings.Cut(text, " ")
	page, err := strconv.Atoi(number)
	list, ok = parseEpoch([]byte(nonce))
	return page, list, ok && err == nil
}
