package nonblocking

import (
	"go/scanner"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gonb-labs/udp-notebooks/udpkit"
	"github.com/gonb-labs/udp-notebooks/udpkit/lesson/exercise"
)

// Source shows functions of package udpkit as they are written there: "NewReceiver" for a function,
// "session.blocking" for a method. They are read from the files that this program was built from.
func Source(names ...string) error {
	source, err := exercise.SourceOf(udpkit.NewReceiver)
	if err != nil {
		return err
	}
	return source.Show(names...)
}

// loops has the name of each style's loop.
var loops = map[udpkit.Style]string{
	udpkit.Blocking:      "session.blocking",
	udpkit.NonBlocking:   "session.nonBlocking",
	udpkit.SelectorStyle: "session.selecting",
	udpkit.Goroutine:     "session.goroutine",
	udpkit.Channel:       "session.channel",
}

// lines returns how many lines of code, without comments and blank lines, the loop of a style has,
// and how many the rest of its files for this system. Files belong to a style by name: selector.go,
// selector_linux.go.
func lines(style udpkit.Style) (loop, helpers int, err error) {
	source, err := exercise.SourceOf(udpkit.NewReceiver)
	if err != nil {
		return 0, 0, err
	}
	own, err := source.Find(loops[style])
	if err != nil {
		return 0, 0, err
	}
	loop = codeLines([]byte(own.Code))
	for name := range source.Files {
		stem, _, _ := strings.Cut(strings.TrimSuffix(name, ".go"), "_")
		if stem != string(style) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(source.Dir, name))
		if err != nil {
			return 0, 0, exercise.ErrNoSource
		}
		helpers += codeLines(text)
	}
	return loop, helpers - loop, nil
}

// codeLines counts the lines that hold a token.
func codeLines(text []byte) int {
	file := token.NewFileSet().AddFile("", -1, len(text))
	var s scanner.Scanner
	s.Init(file, text, nil, 0)
	var seen []int
	for pos, tok, lit := s.Scan(); tok != token.EOF; pos, tok, lit = s.Scan() {
		if tok != token.SEMICOLON || lit == ";" {
			seen = append(seen, file.Line(pos))
		}
	}
	return len(slices.Compact(seen))
}
