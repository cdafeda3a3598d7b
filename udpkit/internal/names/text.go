package names

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// CheckText returns nil for a text of 1 to limit bytes that can be shown as it is: what a person
// types in has no control or invisible formatting characters. The error calls it what.
func CheckText(what, text string, limit int) error {
	switch {
	case text == "":
		return fmt.Errorf("the %s is empty", what)
	case len(text) > limit:
		return fmt.Errorf("the %s %.20q... has %d bytes, the limit is %d", what, text, len(text), limit)
	case Printable(text):
		return nil
	case !utf8.ValidString(text):
		return fmt.Errorf("the %s %q is not valid UTF-8", what, text)
	}
	bad := strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
	r, _ := utf8.DecodeRuneInString(text[bad:])
	return fmt.Errorf("the %s %q has the unprintable character %U", what, text, r)
}

// Printable reports whether text is valid UTF-8 that can be shown as it is. It allocates nothing.
func Printable[T string | []byte](text T) bool {
	for i := 0; i < len(text); {
		if c := text[i]; c < utf8.RuneSelf {
			if c < ' ' || c == 0x7f {
				return false
			}
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(string(text[i:min(len(text), i+utf8.UTFMax)])) // a copy on the stack
		if r == utf8.RuneError && n == 1 || !unicode.IsPrint(r) {
			return false
		}
		i += n
	}
	return true
}
