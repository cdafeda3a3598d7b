package udpkit

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// SetState fixes the state; "" goes back to the cycle. A message is sent at once and the next one
// an interval later, but 100 ms after the last one at the earliest: a caller in a loop causes ten
// messages a second, of which each has the newest state. An error wraps ErrConfig.
func (s *Server) SetState(state State) error {
	if state != "" {
		if err := state.check(); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fixed = state
	s.change()
	return nil
}

// SetData has each message carry data, any value of JSON, see Message.Data; nil ends that. White
// space in it is taken out. It is sent when SetState would send a state. An error wraps ErrConfig:
// data is not JSON or longer than MaxDataLen, with a key less the 57 bytes of a signature.
func (s *Server) SetData(data json.RawMessage) error {
	if len(data) > 0 {
		var compact bytes.Buffer
		if err := json.Compact(&compact, data); err != nil {
			return fmt.Errorf("%w: the data is not JSON: %w", ErrConfig, err)
		}
		data = compact.Bytes()
		if limit := MaxDataLen - s.sender.Overhead(); len(data) > limit {
			return fmt.Errorf("%w: the data has %d bytes, the limit is %d", ErrConfig, len(data), limit)
		}
		if err := checkData(data); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.data = data
	s.change()
	return nil
}

// SetInterval changes the time between two messages, at least 1 ms. A message announces it when
// SetState would send a state, and a second one 100 ms later at the latest, as clients believe a
// new interval when it was announced twice. An error wraps ErrConfig.
func (s *Server) SetInterval(d time.Duration) error {
	if err := checkInterval(d); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.every = d
	s.change()
	return nil
}

func checkInterval(d time.Duration) error {
	if d < time.Millisecond {
		return fmt.Errorf("%w: interval %v is shorter than 1ms", ErrConfig, d)
	}
	return nil
}

// Interval returns the time between two messages.
func (s *Server) Interval() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.every
}

// change has a message sent at once.
func (s *Server) change() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// pause waits for the next message: for the ticker, or for a change, which has the ticker begin
// anew.
func (s *Server) pause(ctx context.Context, ticker *time.Ticker, sent time.Time) {
	select {
	case <-ctx.Done():
		return
	case <-ticker.C:
		return
	case <-s.changed:
	}
	early := time.NewTimer(atOnce - time.Since(sent))
	defer early.Stop()
	select {
	case <-ctx.Done():
	case <-ticker.C:
	case <-early.C:
		ticker.Reset(s.Interval())
	}
}
