package console

import (
	"strings"
	"unicode"

	"github.com/rivo/uniseg"
)

// Width returns how many columns of a terminal text takes: 日 and 👍 take two, and a combining accent
// none.
func Width(text string) int { return uniseg.StringWidth(text) }

// Cut shortens text to that many columns, at least one.
func Cut(text string, columns int) string {
	if Width(text) <= columns {
		return text
	}
	head, _ := split(text, max(columns, 1)-1)
	return head + "…"
}

// Pad fills text with spaces up to that many columns.
func Pad(text string, columns int) string {
	return text + strings.Repeat(" ", max(0, columns-Width(text)))
}

// Table returns rows of cells with their columns aligned, a line each, two spaces between.
func Table(rows [][]string) string {
	var widths []int
	for _, row := range rows {
		for i, cell := range row[:max(0, len(row)-1)] { // what is behind the last is not filled
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], Width(cell))
		}
	}
	var b strings.Builder
	for _, row := range rows {
		for i, cell := range row {
			if i < len(row)-1 {
				cell = Pad(cell, widths[i]+2)
			}
			b.WriteString(cell)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// split splits text where that many columns are full.
func split(text string, columns int) (head, tail string) {
	tail = text
	for tail != "" {
		_, rest, width, _ := uniseg.FirstGraphemeClusterInString(tail, -1)
		if columns -= width; columns < 0 {
			break
		}
		tail = rest
	}
	return text[:len(text)-len(tail)], tail
}

// place returns where the cursor stands in a window of that width after text, which has begun in
// the first column. What does not fit at the end of a row goes to the next.
func place(text string, width int) (row, column int) {
	for text != "" {
		_, rest, w, _ := uniseg.FirstGraphemeClusterInString(text, -1)
		if column+w > width {
			row, column = row+1, 0
		}
		column += w
		text = rest
	}
	if column >= width {
		row, column = row+1, 0
	}
	return row, column
}

// typed returns what is taken of a character that is typed: "" for what would steer the terminal,
// or be invisible. All kinds of spaces are one.
func typed(r rune) string {
	switch {
	case r == '\t' || unicode.Is(unicode.Zs, r):
		return " "
	case unicode.IsPrint(r) || joins(r):
		return string(r)
	}
	return ""
}

// joins reports whether a character makes one sign of those around it, of which terminals disagree
// how wide it is.
func joins(r rune) bool { return r == '\u200d' || unicode.Is(unicode.Variation_Selector, r) }

// Unjoined returns text without what joins characters: each then has the width that all terminals
// give it.
func Unjoined(text string) string {
	return strings.Map(func(r rune) rune {
		if joins(r) {
			return -1
		}
		return r
	}, text)
}
