package chatting

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/gonb-labs/udp-notebooks/udpkit/lesson/exercise"
)

// CheckLines checks the first exercise: the whole lines of a stream that came in pieces, without
// their ends, which are "\n" or "\r\n". What has no end yet is no line.
func CheckLines(ctx context.Context, lines func(pieces []string) []string) error {
	return exercise.Report(ctx, checkLines(ctx, lines), nil)
}

func checkLines(ctx context.Context, lines func([]string) []string) (missing string) {
	for _, test := range []struct {
		pieces, want []string
		hint         string
	}{
		{[]string{"hello\n"}, []string{"hello"}, "the line is without its newline"},
		{[]string{"hello\nworld\n"}, []string{"hello", "world"}, "a piece can have two lines"},
		{[]string{"hel", "lo\nwor", "ld\n"}, []string{"hello", "world"}, "a line can come in pieces"},
		{[]string{"hello", "\n"}, []string{"hello"}, "the newline can come alone"},
		{[]string{"hello\nwor"}, []string{"hello"}, "what has no newline yet is no line"},
		{[]string{"h", "e", "y"}, nil, "what has no newline yet is no line"},
		{[]string{"hello\r\nworld\r\n"}, []string{"hello", "world"}, "Telnet and Windows end a line with two bytes"},
		{[]string{"hello\r", "\nworld\r", "\n"}, []string{"hello", "world"}, "the two bytes of an end can come in two pieces"},
		{[]string{"a\rb\n"}, []string{"a\rb"}, "\"\\r\" alone ends no line"},
		{[]string{"a\r\r\n"}, []string{"a\r"}, "only one \"\\r\" is part of the end"},
		{[]string{"\n\na\n"}, []string{"", "", "a"}, "a line may be empty"},
		{[]string{"", "a", "", "\n", ""}, []string{"a"}, "a piece may be empty"},
		{[]string{" a \t\n"}, []string{" a \t"}, "spaces belong to the line"},
		{[]string{"grüße\n"[:3], "grüße\n"[3:]}, []string{"grüße"}, "a cut can go through a letter"},
		{[]string{strings.Repeat("x", 100_000) + "\n"}, []string{strings.Repeat("x", 100_000)}, "a line may be longer than 64 KiB"},
		{nil, nil, "nothing came at all"},
	} {
		given := slices.Clone(test.pieces)
		var got []string
		missing, ok := exercise.Try(ctx, fmt.Sprintf("lines(%s)", quoted(test.pieces)), func() { got = lines(given) })
		switch {
		case !ok:
			return missing
		case !slices.Equal(got, test.want):
			return fmt.Sprintf("lines(%s) is %s, and not %s: %s", quoted(test.pieces), quoted(got), quoted(test.want), test.hint)
		}
	}
	return ""
}

// quoted makes texts fit for a message.
func quoted(texts []string) string {
	words := make([]string, 0, len(texts))
	for _, text := range texts[:min(len(texts), 6)] {
		if len(text) > 40 {
			text = text[:20] + "…" + text[len(text)-10:]
		}
		words = append(words, fmt.Sprintf("%q", text))
	}
	if more := len(texts) - len(words); more > 0 {
		words = append(words, fmt.Sprintf("and %d more", more))
	}
	return "{" + strings.Join(words, ", ") + "}"
}
