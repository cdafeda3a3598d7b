// Package names decides which names participants of a chat or a relay can have, and which of them
// look alike.
package names

import (
	"errors"
	"fmt"
	"strings"
)

// MaxLen is the longest name in bytes.
const MaxLen = 24

// reserved are the names that a participant would believe, and whoever runs a server has no other.
var reserved = []string{"server", "operator", "system", "admin", "udpkit"}

// Check returns nil for a name that can be had: a letter, then letters, digits, - and _, all ASCII
// and at most MaxLen bytes, so that no name looks like an address, a notice or, in another script,
// like somebody else's. What looks like "server", "operator", "system", "admin" or "udpkit" is
// not to be had.
func Check(name string) error {
	for i, r := range name {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (i == 0 || !(r >= '0' && r <= '9') && r != '-' && r != '_') {
			return fmt.Errorf("the name %q: a name is a letter, then letters, digits, - and _ (a to z only)", Cut(name))
		}
	}
	switch {
	case name == "":
		return errors.New("the name is empty")
	case len(name) > MaxLen:
		return fmt.Errorf("the name %q has %d bytes, the limit is %d", Cut(name), len(name), MaxLen)
	}
	for _, r := range reserved {
		if Skeleton(name) == Skeleton(r) {
			return fmt.Errorf("the name %q is reserved, or looks like %q, which is", name, r)
		}
	}
	return nil
}

// Cut shortens what somebody gave as a name, for an answer.
func Cut(name string) string {
	if len(name) > MaxLen {
		return name[:MaxLen] + "..."
	}
	return name
}

// lookAlike are the characters of a name that are taken for each other, in the sense of Unicode's
// confusables (UTS 39), and digits that are written for letters.
var lookAlike = strings.NewReplacer(
	"0", "o", "1", "l", "i", "l", "3", "e", "4", "a", "5", "s", "7", "t", "8", "b", "cl", "d", "rn", "m", "vv", "w", "-", "", "_", "",
)

// Skeleton is equal for names that look alike.
func Skeleton(name string) string { return lookAlike.Replace(strings.ToLower(name)) }
