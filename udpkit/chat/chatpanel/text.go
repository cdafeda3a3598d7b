package chatpanel

import (
	"fmt"
	"time"

	"github.com/gonb-labs/udp-notebooks/udpkit/chat"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/console"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/format"
)

// text shows a line an event.
type text struct {
	console.Display
	summary func() string
}

func (t *text) event(e chat.Event) error {
	if at, line := describe(e); line != "" {
		return t.Print(format.Clock(at) + "  " + line)
	}
	return nil
}

func (t *text) said(line string) error {
	return t.Print(format.Clock(time.Now()) + "  you: " + chat.Clean(line))
}
func (t *text) note(line string) error {
	return t.Print(format.Clock(time.Now()) + "  " + chat.Clean(line))
}

func (t *text) End(why string) error {
	_ = t.Clear() // if it fails, so does the next line, which tells
	return t.Print("\nEnded: " + why + t.summary())
}

// describe returns an event as a line, "" for one that is not shown, and when it was.
func describe(e chat.Event) (at time.Time, line string) {
	switch e := e.(type) {
	case chat.StartEvent:
		if !e.Server.IsValid() {
			return e.At, fmt.Sprintf("Chat server on %v%s. What you type goes to everybody; exit ends it. Join with: %s", e.Local, protected(e), joinWith(e))
		}
		return e.At, fmt.Sprintf("Connected to %v%s. What you type goes to everybody else; exit leaves.", e.Server, protected(e))
	case chat.JoinEvent:
		return e.At, fmt.Sprintf("* %v joined", e.Client)
	case chat.NameEvent:
		return e.At, fmt.Sprintf("* %v is now %s", e.Client, e.Name)
	case chat.LeaveEvent:
		who := e.Client.String()
		if e.Name != "" {
			who = fmt.Sprintf("%s (%v)", e.Name, e.Client)
		}
		if e.Reason == chat.ReasonLeft {
			return e.At, "* " + who + " left"
		}
		return e.At, fmt.Sprintf("* %s left: %s", who, e.Reason)
	case chat.RefuseEvent:
		return e.At, fmt.Sprintf("* %v refused: %s", e.Client, e.Reason)
	case chat.MessageEvent:
		if e.From == "" {
			return e.At, e.Text
		}
		return e.At, e.From + ": " + e.Text
	case chat.ErrorEvent:
		return e.At, e.Text
	}
	return time.Time{}, ""
}

// protected says that a key is in use.
func protected(e chat.StartEvent) string {
	if e.Secure {
		return ", encrypted with the key"
	}
	return ""
}

// joinWith is how to join a server from a terminal.
func joinWith(e chat.StartEvent) string {
	if e.Secure {
		return fmt.Sprintf("udpkit chat client --key-file FILE --address ADDRESS:%d", e.Local.Port())
	}
	return fmt.Sprintf("nc ADDRESS %d", e.Local.Port())
}
