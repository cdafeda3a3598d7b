package udpkit

import "bytes"

// remembered is an event of the history. Its timestamp is kept by value and the room for its data
// is used again, so that a message costs no allocation.
type remembered struct {
	event     MessageEvent // with no timestamp and data
	timestamp [maxTimestampLen]byte
	length    uint8
	data      []byte
}

func (r *remembered) copyTo(e *MessageEvent) {
	*e = r.event
	e.Timestamp = string(r.timestamp[:r.length])
	if len(r.data) > 0 {
		e.Data = bytes.Clone(r.data)
	}
}

// remember returns the place of a new message in the history.
func (c *Client) remember() *remembered {
	if len(c.history) < c.cfg.History {
		c.history = append(c.history, remembered{})
		return &c.history[len(c.history)-1]
	}
	at := c.oldest
	c.oldest = (c.oldest + 1) % len(c.history)
	return &c.history[at]
}

// History returns the newest messages, at most ClientConfig.History, oldest first. The slice is the
// caller's.
func (c *Client) History() []MessageEvent {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := make([]MessageEvent, len(c.history))
	for i := range h {
		c.history[(c.oldest+i)%len(h)].copyTo(&h[i])
	}
	return h
}
