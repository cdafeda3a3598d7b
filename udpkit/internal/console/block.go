package console

import (
	"fmt"
	"strings"
)

// Block is lines on a terminal that change in place. The zero value is ready.
type Block struct {
	drawn int
}

// Draw draws lines over those of the last time, the first so many of them in bold. It asks for as
// many as the window has room for at most, and cuts what is too wide. Where the display cannot be
// drawn on it does nothing, and the next time begins below what stands there.
func (b *Block) Draw(out Display, bold int, lines func(most int) []string) error {
	width, height := out.Window()
	if width == 0 {
		b.drawn = 0 // what stands above is not ours
		return nil
	}
	var s strings.Builder
	if b.drawn > 0 {
		fmt.Fprintf(&s, "\r\x1b[%dA", min(b.drawn, height-1))
	}
	// Each line is cleared on its own, since some terminals keep what is cleared at once. A line
	// that went on in the next would upset the count: it is cut, and where the terminal has wider
	// characters than we know, turning DECAWM off holds it.
	s.WriteString("\x1b[?7l")
	b.drawn = 0
	for i, line := range lines(height - 1) {
		if line = Cut(line, width); i < bold {
			line = out.Paint(Bold, line)
		}
		s.WriteString("\x1b[2K" + line + "\n")
		b.drawn++
	}
	s.WriteString("\x1b[J\x1b[?7h")
	return Write(out, s.String())
}
