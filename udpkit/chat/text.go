package chat

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/names"
	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
)

const (
	// DefaultPort is the TCP port of a server.
	DefaultPort = 8000
	// MaxLine is the longest message of a client in bytes, without its newline.
	MaxLine = 4 << 10
	// DefaultLostTimeout is how long it takes to notice that a peer has vanished.
	DefaultLostTimeout = 24 * time.Second

	// maxRelayed is the longest line that a server sends: it puts a name before a message, and
	// U+FFFD, three bytes, in the place of each byte that it replaces.
	maxRelayed = 4 * MaxLine
)

// ErrConfig marks a configuration, name or text that cannot be used.
var ErrConfig = service.ErrConfig

// Clean returns text as it is relayed and shown: one line of valid UTF-8 without anything that
// steers a terminal or reorders what is read. A tab becomes a space. Control characters (C0, C1,
// DEL), line separators, bidirectional and other format characters and bytes that are not UTF-8
// become U+FFFD. Variation selectors and joiners, which emoji are made of, are left out. It is not
// an escape for HTML.
func Clean(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case r == '\u200d' || unicode.Is(unicode.Variation_Selector, r):
			return -1
		case !unicode.IsPrint(r) || unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r):
			return utf8.RuneError
		}
		return r // also utf8.RuneError for a byte that is not UTF-8
	}, text)
}

// CheckName returns nil if the name can be had: a letter, then letters, digits, - and _, all ASCII
// and at most 24 bytes, so that no name looks like an address, a notice or, in another script, like
// somebody else's. What looks like "server", which is the operator's, or another word of power is
// not to be had. An error wraps ErrConfig.
func CheckName(name string) error {
	if err := names.Check(name); err != nil {
		return fmt.Errorf("%w: %w", ErrConfig, err)
	}
	return nil
}

// isExit reports whether a line is the word that ends a chat.
func isExit(line string) bool { return strings.EqualFold(strings.TrimSpace(line), "exit") }
