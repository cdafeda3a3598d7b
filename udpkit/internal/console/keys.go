package console

import (
	"strings"
	"unicode/utf8"
)

// nextKey returns the first key of what a terminal has sent, how many bytes it is, and for a
// character no key but its text. A size of 0 means that the rest of it has not come yet.
func nextKey(in []byte) (key, text string, size int) {
	switch c := in[0]; {
	case c == 0x1b:
		size = escape(in)
		// Both introducers mean the same, depending on the terminal's mode.
		return strings.Replace(string(in[:size]), "\x1bO", "\x1b[", 1), "", size
	case c < ' ' && c != '\t' || c == 0x7f:
		return string(in[:1]), "", 1
	case !utf8.FullRune(in):
		return "", "", 0
	}
	_, size = utf8.DecodeRune(in)
	return "", string(in[:size]), size
}

// escape returns how long the escape is that in begins with, 0 if it does not end yet.
func escape(in []byte) int {
	if len(in) < 2 {
		return 0
	}
	if in[1] != '[' && in[1] != 'O' {
		return 2
	}
	for i, c := range in[2:] {
		if c >= '@' && c <= '~' {
			return i + 3
		}
	}
	return 0
}
