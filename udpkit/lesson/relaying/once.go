package relaying

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/gonb-labs/udp-notebooks/udpkit/lesson/exercise"
)

// CheckOnce checks the first exercise: which texts are stored of the lines that come to a server,
// in the order in which they come. A line is stored if its number is the next one of its run.
func CheckOnce(ctx context.Context, once func(lines []Line) []string) error {
	return exercise.Report(ctx, checkOnce(ctx, once), nil)
}

func checkOnce(ctx context.Context, once func([]Line) []string) (missing string) {
	for _, test := range []struct {
		lines []Line
		want  []string
		hint  string
	}{
		{[]Line{{"a", 1, "one"}, {"a", 2, "two"}}, []string{"one", "two"}, "each is new"},
		{[]Line{{"a", 1, "one"}, {"a", 1, "one"}, {"a", 2, "two"}}, []string{"one", "two"}, "number 1 came a second time, since its acknowledgement was lost"},
		{[]Line{{"a", 1, "yes"}, {"a", 2, "yes"}}, []string{"yes", "yes"}, "somebody may say the same twice: the number tells, and not the text"},
		{[]Line{{"a", 1, "one"}, {"b", 1, "eins"}, {"b", 2, "zwei"}, {"a", 2, "two"}}, []string{"one", "eins", "zwei", "two"}, "each run counts for itself"},
		{[]Line{{"a", 2, "two"}, {"a", 1, "one"}, {"a", 2, "two"}}, []string{"one", "two"}, "number 2 came too early, and came again"},
		{[]Line{{"a", 2, "two"}, {"a", 1, "one"}}, []string{"one"}, "number 2 came too early: it is not acknowledged, so its writer sends it again"},
		{[]Line{{"a", 1, "one"}, {"a", 3, "three"}, {"a", 4, "four"}}, []string{"one"}, "number 2 is missing, so what comes after it has to wait"},
		{[]Line{{"a", 1, "one"}, {"a", 2, "two"}, {"a", 3, "three"}, {"a", 1, "one"}, {"a", 2, "two"}}, []string{"one", "two", "three"}, "a copy may come late, when others came in between"},
		{[]Line{{"a", 1, "one"}, {"a", 1, "another one"}}, []string{"one"}, "what is stored is not changed any more"},
		{[]Line{{"a", 0, "nought"}, {"a", 1, "one"}}, []string{"one"}, "numbers begin at 1"},
		{[]Line{{"a", math.MaxUint64, "last"}, {"a", 1, "one"}}, []string{"one"}, "a number can be as large as a uint64"},
		{[]Line{{"a", 1, "x"}, {"a1", 1, "y"}, {"a", 2, "z"}, {"a1", 2, "v"}}, []string{"x", "y", "z", "v"}, "two runs have different names, however alike they are"},
		{append([]Line{{"a1", 1, "x"}}, counted(11)...), append([]string{"x"}, texts(11)...), "line 1 of run a1 is not line 11 of run a"},
		{[]Line{{"", 1, "x"}, {"a", 1, ""}, {"a", 2, "y"}}, []string{"x", "", "y"}, "a text may be empty, and so may a name"},
		{counted(12), texts(12), "there can be more than ten lines"},
		{nil, nil, "nothing came at all"},
	} {
		given := slices.Clone(test.lines)
		var got []string
		what := fmt.Sprintf("once(%s)", told(test.lines))
		missing, ok := exercise.Try(ctx, what, func() { got = once(given) })
		switch {
		case !ok:
			return missing
		case !slices.Equal(got, test.want):
			return fmt.Sprintf("%s is %q, and not %q: %s", what, got, test.want, test.hint)
		}
	}
	return ""
}

// counted is a run of n lines, each of which comes twice.
func counted(n uint64) (lines []Line) {
	for i := range n {
		line := Line{"a", i + 1, fmt.Sprint(i + 1)}
		lines = append(lines, line, line)
	}
	return lines
}

func texts(n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprint(i+1))
	}
	return all
}

// told makes lines fit for a message.
func told(lines []Line) string {
	var words []string
	for _, l := range lines[:min(len(lines), 5)] {
		words = append(words, fmt.Sprintf("%s %d %q", l.Run, l.Number, l.Text))
	}
	if more := len(lines) - len(words); more > 0 {
		words = append(words, fmt.Sprintf("and %d more", more))
	}
	return "{" + strings.Join(words, ", ") + "}"
}
