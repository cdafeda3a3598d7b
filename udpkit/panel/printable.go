package panel

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Printable returns text that can be shown on a terminal or a page without changing anything but
// its own place: control characters (C0, C1, DEL), line separators, bidirectional and other format
// characters, invisible ones and bytes that are not UTF-8 are quoted as in a Go string, such as
// \x1b or \u202e. It is not an escape for HTML: html/template does that.
func Printable(text string) string {
	var b strings.Builder
	for rest := text; rest != ""; {
		r, size := utf8.DecodeRuneInString(rest)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, rest[0])
		case visible(r):
			b.WriteRune(r)
		default:
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		rest = rest[size:]
	}
	return b.String()
}

// visible reports whether r has a glyph or is the plain space. IsPrint refuses the categories C and
// Z, which hold all controls, formats and separators; what it lets through and yet shows nothing
// are fillers and variation selectors.
func visible(r rune) bool {
	return unicode.IsPrint(r) && !unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}
