package chat

// The bytes of the Telnet protocol (RFC 854) that matter here.
const (
	telnetSE   = 240 // ends a subnegotiation
	telnetSB   = 250 // begins one
	telnetWill = 251 // the first of WILL, WON'T, DO and DON'T, each followed by an option
	telnetIAC  = 255 // comes before each command; twice, it is the byte 255
)

// telnet takes the commands of the Telnet protocol out of a stream, which PuTTY sends unasked, and
// makes a newline of CR NUL, with which it ends a line. No command is answered, so everything stays
// off. None of these bytes is part of a text in UTF-8.
type telnet struct{ state telnetState }

type telnetState uint8

const (
	inText telnetState = iota
	afterCR
	afterIAC
	beforeOption
	inSubnegotiation
	afterIACInSubnegotiation
)

// filter appends to text what is left of p, which is what came next, without its commands: at most
// one byte more than p has.
func (t *telnet) filter(text, p []byte) []byte {
	for _, b := range p {
		if t.state == afterIAC && b < telnetSE { // it was no command
			text = append(text, telnetIAC)
			t.state = inText
		}
		switch t.state {
		case inText, afterCR:
			switch {
			case b == telnetIAC:
				t.state = afterIAC
				continue
			case b == 0 && t.state == afterCR:
				b = '\n'
			}
			t.state = inText
			if b == '\r' {
				t.state = afterCR
			}
			text = append(text, b)
		case afterIAC:
			switch {
			case b == telnetIAC:
				t.state = inText
				text = append(text, b)
			case b >= telnetWill:
				t.state = beforeOption
			case b == telnetSB:
				t.state = inSubnegotiation
			default: // a command of one byte
				t.state = inText
			}
		case beforeOption:
			t.state = inText
		case inSubnegotiation:
			if b == telnetIAC {
				t.state = afterIACInSubnegotiation
			}
		case afterIACInSubnegotiation:
			t.state = inSubnegotiation
			if b == telnetSE {
				t.state = inText
			}
		}
	}
	return text
}
